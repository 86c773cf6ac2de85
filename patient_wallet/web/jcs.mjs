/**
 * Canonical JSON (RFC 8785) of the signed subset, read strictly, with the verdicts of `domain/jcs.py`.
 *
 * Integers within ±(2^53 - 1) and no other numbers, strings in NFC without lone surrogates, no duplicate keys, bounded
 * depth and size. What is read must be the canonical bytes of what it says: that alone excludes duplicate keys and
 * every second spelling of a number or a string.
 */
import { Refusal } from "./refusal.mjs";

export const MAX_SIGNED_DEPTH = 16;
export const MAX_SIGNED_BYTES = 1 << 20;
const LONE_SURROGATE = /\p{Surrogate}/u;
const ASCII = /^[\x00-\x7f]*$/; // eslint-disable-line no-control-regex
const ENCODER = new TextEncoder();

/**
 * The JCS encoding of a JSON value of the signed subset.
 * @throws {Refusal} with the rule that is broken
 */
export function canonical(value) {
  return ENCODER.encode(text(value, 0));
}

/**
 * Read canonical JSON; every other spelling of the same value is refused.
 * @param {Uint8Array} encoded
 * @throws {Refusal} with the rule that is broken
 */
export function parse(encoded, maxBytes = MAX_SIGNED_BYTES) {
  if (encoded.length > maxBytes) throw new Refusal("too-large");
  const source = decoded(encoded);
  checkDepth(source);
  const value = read(source);
  if (text(value, 0) !== source) throw new Refusal("not-canonical");
  return value;
}

/**
 * Read canonical JSON that must be an object.
 * @throws {Refusal} with the rule that is broken
 */
export function parseObject(encoded, maxBytes = MAX_SIGNED_BYTES) {
  const value = parse(encoded, maxBytes);
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw new Refusal("not-an-object");
  return value;
}

function decoded(encoded) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(encoded);
  } catch {
    throw new Refusal("not-utf8");
  }
}

function read(source) {
  try {
    return JSON.parse(source);
  } catch {
    throw new Refusal("not-json");
  }
}

/** Before anything is parsed, and in one pass whatever the text is: a hostile depth must not reach a recursive reader. */
function checkDepth(source) {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < source.length; at += 1) {
    const character = source[at];
    if (inString && character === "\\") at += 1;
    else if (character === '"') inString = !inString;
    else if (!inString && (character === "[" || character === "{")) depth += 1;
    else if (!inString && (character === "]" || character === "}")) depth -= 1;
    if (depth > MAX_SIGNED_DEPTH) throw new Refusal("too-deep");
  }
}

function text(value, depth) {
  if (depth > MAX_SIGNED_DEPTH) throw new Refusal("too-deep");
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return string(value);
  if (typeof value === "number") return integer(value);
  if (Array.isArray(value)) return `[${value.map((item) => text(item, depth + 1)).join(",")}]`;
  if (Object.getPrototypeOf(value) === Object.prototype) return object(value, depth);
  throw new Refusal("not-signable");
}

function object(value, depth) {
  const names = Object.keys(value).sort(); // by UTF-16 code units, as RFC 8785 section 3.2.3 asks
  return `{${names.map((name) => `${string(name)}:${text(value[name], depth + 1)}`).join(",")}}`;
}

function integer(value) {
  if (!Number.isInteger(value)) throw new Refusal("not-signable");
  if (!Number.isSafeInteger(value)) throw new Refusal("integer-range");
  return String(value);
}

function string(value) {
  if (!ASCII.test(value)) {
    if (LONE_SURROGATE.test(value)) throw new Refusal("lone-surrogate");
    if (value.normalize("NFC") !== value) throw new Refusal("not-nfc");
  }
  return JSON.stringify(value);
}
