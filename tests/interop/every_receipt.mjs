// Judges every vector with the stand-alone verifier; prints one JSON list.
//   node every_receipt.mjs verify_receipt.mjs receipts.json
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const verifier = await import(pathToFileURL(process.argv[2]));
const { members, cases } = JSON.parse(readFileSync(process.argv[3], 'utf8'));
const kinds = [[verifier.Altered, 'altered'], [verifier.Unusable, 'unusable'], [verifier.NotWitnessed, 'not-witnessed']];
console.log(JSON.stringify(cases.map((item) => {
  try {
    return ['verified', verifier.verifyReceipt(item.receipt, members[item.members], item.parties).signers];
  } catch (error) {
    return [kinds.find(([kind]) => error instanceof kind)?.[1] ?? `${error.stack}`, []];
  }
})));
