/**
 * Ed25519 signatures, verified strictly, with the verdicts of `domain/ed25519.py`.
 *
 * Sources: RFC 8032; "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko 2020). Canonical encodings only, S below
 * the group order, A and R in the prime-order subgroup, then the equation: cofactored and cofactorless verifiers differ
 * on mixed-order points alone, and under a small-order key one signature fits every message.
 */
import { ed25519 } from "@noble/curves/ed25519";

import { Refusal } from "./refusal.mjs";

export const PUBLIC_KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;
const GROUP_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

/** True if the bytes are the canonical encoding of a point of the prime-order subgroup, not its identity. */
export function isStrictPublicKey(publicKey) {
  return publicKey.length === PUBLIC_KEY_BYTES && isPrimeOrderPoint(publicKey);
}

/**
 * Verify a signature.
 * @throws {Refusal} weak-key, signature-form, signature
 */
export function verifySignature(publicKey, signature, message) {
  if (!isStrictPublicKey(publicKey)) throw new Refusal("weak-key");
  if (signature.length !== SIGNATURE_BYTES) throw new Refusal("signature-form");
  if (littleEndian(signature.subarray(32)) >= GROUP_ORDER) throw new Refusal("signature-form");
  if (!isPrimeOrderPoint(signature.subarray(0, 32))) throw new Refusal("signature-form");
  if (!ed25519.verify(signature, message, publicKey, { zip215: false })) throw new Refusal("signature");
}

function isPrimeOrderPoint(encoded) {
  try {
    const point = ed25519.Point.fromBytes(encoded, false); // false: y below p, and no sign on x = 0
    return !point.isSmallOrder() && point.isTorsionFree();
  } catch {
    return false;
  }
}

function littleEndian(bytes) {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
