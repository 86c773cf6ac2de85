// Judges Ed25519 cases [key, signature, message] in hex with the stand-alone verifier; prints one JSON list of booleans.
//   node every_signature.mjs verify_receipt.mjs < cases.json
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const { signatureHolds } = await import(pathToFileURL(process.argv[2]));
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'));
const cases = JSON.parse(readFileSync(0, 'utf8'));
console.log(JSON.stringify(cases.map((parts) => signatureHolds(...parts.map(bytes)))));
