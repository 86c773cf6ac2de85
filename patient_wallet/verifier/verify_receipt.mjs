// Verifies a receipt offline against a members file (docs/formats/witness.md, "Receipts"); shares nothing with the rest
// of the product but that document and tests/vectors/receipts.json. In Node and in browsers.
//   node verify_receipt.mjs receipt.json members.json [--party MSP]…
// Exit codes: 0 verified, 1 altered, 2 unusable input, 3 not witnessed by enough members that take no part in it.
import { ed25519 } from '@noble/curves/ed25519';
import { sha256 } from '@noble/hashes/sha2';

export class Unusable extends Error {}
export class Altered extends Error {}
export class NotWitnessed extends Error {}
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const PARTY_FIELDS = new Set(['custodian', 'requester', 'grantee', 'organisation', 'by', 'msp_id']);
const PARTY_ATTRIBUTES = new Map(Object.entries({ org: [0], log: [0], record: [0], status: [0], attestation: [0, 2], review: [1] }));
const LEAVES = {
  record: ['v', 'record', 'version', 'previous', 'custodian', 'author', 'owner', 'digest', 'size_bucket', 'day', 'salt'],
  'access-row': ['v', 'id', 'at', 'action', 'organisation', 'actor', 'purpose', 'access', 'patient', 'records', 'outcome', 'salt'],
};
const utf8 = (text) => new TextEncoder().encode(text);
const must = (holds, Kind, why) => { if (!holds) throw new Kind(why); };
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isCount = (value, low = 0) => Number.isSafeInteger(value) && value >= low;
const isText = (value, most) => typeof value === 'string' && value.length > 0 && value.length <= most;
const hash = (...parts) => parts.reduce((state, part) => state.update(Uint8Array.from(part)), sha256.create()).digest();
const [leafHash, nodeHash] = [(text) => hash([0], utf8(text)), (left, right) => hash([1], left, right)];
const base64 = (bytes) => btoa(String.fromCharCode(...bytes));
const base64url = (bytes) => base64(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

const attempt = (make) => { try { return make(); } catch { return undefined; } };
const bytesOf = (text) => attempt(() => Uint8Array.from(atob(text), (character) => character.charCodeAt(0)));
const oneSpelling = (bytes, encode, text) => (bytes && encode(bytes) === text ? bytes : undefined);
const unbase64 = (text) => oneSpelling(bytesOf(text), base64, text);
const unbase64url = (text) => oneSpelling(bytesOf(text.replaceAll('-', '+').replaceAll('_', '/')), base64url, text);
const isPath = (path) => Array.isArray(path) && path.length <= 128 && path.every(isHash);
const isHash = (value) => typeof value === 'string' && value.length === 43 && unbase64url(value)?.length === 32;

function canonical(value, depth = 0) { // RFC 8785 of the signed subset
  if (value === null || typeof value === 'boolean' || Number.isSafeInteger(value)) return JSON.stringify(value);
  if (typeof value === 'string') {
    must(!/\p{Surrogate}/u.test(value) && value === value.normalize('NFC'), Unusable, 'a text is not in NFC');
    return JSON.stringify(value);
  }
  must(typeof value === 'object' && depth < 16, Unusable, 'no signed JSON');
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, depth + 1)).join(',')}]`;
  return `{${Object.keys(value).sort().map((key) => `${canonical(key)}:${canonical(value[key], depth + 1)}`).join(',')}}`;
}

function parse(text, Kind, why) { // an object in its canonical spelling
  const value = attempt(() => JSON.parse(text));
  must(isObject(value) && attempt(() => canonical(value)) === text, Kind, `${why} is not canonical JSON`);
  return value;
}

function fields(value, names, Kind, why) {
  must(isObject(value) && `${Object.keys(value).sort()}` === `${[...names].sort()}`, Kind, `${why}: other fields`);
  return value;
}

export function isStrictPoint(bytes) { // canonical, in the prime-order subgroup, not its identity
  const point = attempt(() => ed25519.ExtendedPoint.fromHex(bytes, false));
  return point !== undefined && point.isTorsionFree() && !point.isSmallOrder();
}

export function signatureHolds(key, signature, message) {
  if (signature.length !== 64 || !isStrictPoint(key) || !isStrictPoint(signature.subarray(0, 32))) return false;
  const s = signature.subarray(32).reduceRight((number, byte) => (number << 8n) + BigInt(byte), 0n);
  return s < ORDER && ed25519.verify(signature, message, key, { zip215: false });
}

function verifyInclusion(leaf, index, size, path, root, why) { // RFC 9162, 2.1.3.2; BigInt: sizes exceed 32 bits
  let [position, last, value] = [BigInt(index), BigInt(size) - 1n, leaf];
  must(position <= last, Altered, `${why}: outside the tree`);
  for (const sibling of path.map(unbase64url)) {
    must(last > 0n, Altered, `${why}: path too long`);
    if (position & 1n || position === last) {
      value = nodeHash(sibling, value);
      while (!(position & 1n) && position) [position, last] = [position >> 1n, last >> 1n];
    } else value = nodeHash(value, sibling);
    [position, last] = [position >> 1n, last >> 1n];
  }
  must(last === 0n && base64(value) === base64(root), Altered, `${why}: the path does not lead to the root`);
}

function readReceipt(text) {
  const receipt = parse(text, Unusable, 'the receipt');
  fields(receipt, ['v', 'type', 'channel', 'ledger', 'proves', 'write', 'block', 'log', 'checkpoint'], Unusable, 'receipt');
  const { proves, write, log } = receipt;
  must(receipt.v === 1 && receipt.type === 'receipt' && isText(receipt.channel, 249), Unusable, 'not a receipt, version 1');
  must(['embedded', 'fabric'].includes(receipt.ledger), Unusable, 'ledger');
  must(isText(receipt.block, 1024) && isText(receipt.checkpoint, 32768), Unusable, 'block or checkpoint');
  must(isObject(proves) && (proves.kind === 'write' || Object.hasOwn(LEAVES, proves.kind)), Unusable, 'proves.kind');
  const plain = proves.kind === 'write';
  fields(proves, plain ? ['kind', 'key', 'value'] : ['kind', 'key', 'value', 'leaf', 'path'], Unusable, 'proves');
  must(isText(proves.key, 1024) && isText(proves.value, 1 << 20) && (plain || isText(proves.leaf, 65536)), Unusable, 'proves');
  if (!plain) {
    const { incarnation, index, size, hashes } = fields(proves.path, ['incarnation', 'index', 'size', 'hashes'], Unusable, 'p');
    must(isCount(incarnation, 1) && isCount(index) && isCount(size, index + 1) && isPath(hashes), Unusable, 'proves.path');
  }
  fields(write, ['transaction', 'tx_id', 'index', 'size', 'path'], Unusable, 'write');
  must([write.transaction, write.index, write.size].every((count) => isCount(count)), Unusable, 'write');
  must(isText(write.tx_id, 128) && isPath(write.path), Unusable, 'write');
  must(isCount(fields(log, ['size', 'path'], Unusable, 'log').size) && isPath(log.path), Unusable, 'log');
  return receipt;
}

function readMembers(text) {
  const file = fields(parse(text, Unusable, 'the members file'), ['v', 'channel', 'ledger', 'members'], Unusable, 'members');
  must(file.v === 1 && isText(file.channel, 249) && ['embedded', 'fabric'].includes(file.ledger), Unusable, 'members');
  must(Array.isArray(file.members) && file.members.length > 0 && file.members.length <= 1000, Unusable, 'members');
  for (const member of file.members.map((item) => fields(item, ['msp', 'witness'], Unusable, 'member'))) {
    must(typeof member.msp === 'string' && /^[A-Za-z][A-Za-z0-9.-]{0,63}$/.test(member.msp) && isPath(member.witness), Unusable, 'member');
    must(member.witness.length <= 32 && member.witness.map(unbase64url).every(isStrictPoint), Unusable, 'a weak witness key');
  }
  const [names, keys] = [file.members.map((member) => member.msp), file.members.flatMap((member) => member.witness)];
  must(new Set(names).size === names.length && new Set(keys).size === keys.length, Unusable, 'a member or key stands twice');
  return file;
}

function verifyLeaf({ kind, value, leaf, path }, key) {
  if (kind === 'write') return key;
  must(key.length === 3 && key[0] === 'log' && key[2] === `${path.incarnation}`.padStart(10, '0'), Altered, 'no head of that log');
  const head = parse(value, Altered, 'the head')[kind === 'record' ? 'records' : 'access'];
  const found = fields(parse(leaf, Altered, 'the leaf'), LEAVES[kind], Altered, 'leaf');
  must(kind !== 'record' || found.custodian === key[1], Altered, 'the leaf is of another organisation');
  must(found.v === 1 && isHash(head?.root) && head.size === path.size, Altered, 'the head is of another size');
  verifyInclusion(leafHash(leaf), path.index, path.size, path.hashes, unbase64url(head.root), 'leaf');
  return key;
}

function readNote(text) {
  const [, origin, size, root, lines] = /^(.*)\n([1-9]\d{0,15})\n(.*)\n\n((?:.*\n)+)$/.exec(text) ?? [];
  const head = root && unbase64(root);
  must(head?.length === 32 && Number.isSafeInteger(Number(size)), Altered, 'the checkpoint is not of its form');
  const signatures = lines.slice(0, -1).split('\n').map((line) => {
    const [, name, encoded] = /^— ([!-*,-~]{1,400}) ([A-Za-z0-9+/=]+)$/.exec(line) ?? [];
    const bytes = encoded && unbase64(encoded);
    must(bytes?.length > 4, Altered, 'a signature line is not of its form');
    return { id: `${name} ${bytes.slice(0, 4)}`, signature: bytes.slice(4) };
  });
  must(signatures.length <= 100 && new Set(signatures.map(({ id }) => id)).size === signatures.length, Altered, 'a key signs twice');
  return { body: utf8(`${origin}\n${size}\n${root}\n`), origin, size: Number(size), root: head, signatures };
}

function signersOf(note, file) {
  const known = new Map(file.members.flatMap(({ msp, witness }) => witness.map(unbase64url).map((key) => {
    const name = `yilian/${file.channel}/${msp}`;
    return [`${name} ${hash(utf8(`${name}\n\u0001`), key).slice(0, 4)}`, { msp, key }];
  })));
  const own = note.signatures.filter(({ id }) => known.has(id)).map(({ id, signature }) => ({ ...known.get(id), signature }));
  must(own.every(({ key, signature }) => signatureHolds(key, signature, note.body)), Altered, 'a signature does not hold');
  return new Set(own.map(({ msp }) => msp));
}

function collectParties(value, found) {
  if (typeof value !== 'object' || value === null) return found;
  for (const [name, item] of Object.entries(value)) {
    if (!Array.isArray(value) && PARTY_FIELDS.has(name) && typeof item === 'string') found.add(item);
    collectParties(item, found);
  }
  return found;
}

/** Verifies texts of a receipt and a members file; `parties` are MSP ids whose signatures do not count. */
export function verifyReceipt(receiptText, membersText, parties = []) {
  const [receipt, file] = [readReceipt(receiptText), readMembers(membersText)];
  const { proves, write, log } = receipt;
  must(receipt.channel === file.channel && receipt.ledger === file.ledger, Altered, 'another channel or ledger');
  const key = proves.key.split('\0');
  must(key.length > 2 && key[0] === '' && key.at(-1) === '', Altered, 'the key is no state key');
  const [type, ...attributes] = verifyLeaf(proves, key.slice(1, -1));
  const entry = fields(parse(receipt.block, Altered, 'the entry'), ['v', 'number', 'header', 'writes', 'codes'], Altered, 'entry');
  must(entry.v === 1 && isCount(entry.number) && [entry.header, entry.writes, entry.codes].every(isHash), Altered, 'entry');
  const leaf = canonical([write.transaction, write.tx_id, proves.key, base64url(hash(utf8(proves.value)))]);
  verifyInclusion(leafHash(leaf), write.index, write.size, write.path, unbase64url(entry.writes), 'write');
  const note = readNote(receipt.checkpoint);
  must(note.size === log.size, Altered, 'the checkpoint is of another size');
  verifyInclusion(leafHash(receipt.block), entry.number, log.size, log.path, note.root, 'block');
  must(note.origin === `yilian/${file.channel}`, Altered, 'the checkpoint is of another channel');
  const named = collectParties(parse(proves.value, Altered, 'the value'), new Set(parties));
  if (proves.leaf !== undefined) collectParties(parse(proves.leaf, Altered, 'the leaf'), named);
  for (const at of PARTY_ATTRIBUTES.get(type) ?? []) if (at < attributes.length) named.add(attributes[at]);
  const signers = [...signersOf(note, file)].filter((msp) => !named.has(msp)).sort();
  const required = Math.max(1, Math.floor((file.members.length - 1) / 2));
  must(signers.length >= required, NotWitnessed, `${signers.length} of ${required} signatures`);
  return { kind: proves.kind, block: entry.number, tx_id: write.tx_id, signers, required, single_operator: file.ledger === 'embedded' };
}

async function main([receipt, members, ...options]) {
  const { readFileSync } = await import('node:fs');
  const parties = options.filter((_, index) => options[index - 1] === '--party');
  const read = (path) => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(path));
  try {
    console.log(JSON.stringify(verifyReceipt(read(receipt), read(members), parties)));
    return 0;
  } catch (error) {
    console.error(`${error.constructor.name}: ${error.message}`);
    return error instanceof Altered ? 1 : error instanceof NotWitnessed ? 3 : 2;
  }
}

if (globalThis.process?.argv?.[1]?.endsWith('verify_receipt.mjs')) process.exitCode = await main(process.argv.slice(2));
