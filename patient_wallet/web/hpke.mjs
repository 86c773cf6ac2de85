/**
 * HPKE (RFC 9180) in base mode, single shot: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
 *
 * The wire form is that of `offchain/envelope/hpke.py`: encapsulated key ‖ ciphertext, and whatever it is bound to goes
 * into `info` as JCS, the algorithm's name first. Points of small order are refused (RFC 7748 section 6.1).
 */
import { gcm } from "@noble/ciphers/aes";
import { x25519 } from "@noble/curves/ed25519";
import { expand, extract } from "@noble/hashes/hkdf";
import { sha256 } from "@noble/hashes/sha2";
import { concatBytes, utf8ToBytes } from "@noble/hashes/utils";

import { canonical } from "./jcs.mjs";
import { Refusal } from "./refusal.mjs";

export const ALG = "HPKE-X25519";
export const KEY_BYTES = 32;
const TAG_BYTES = 16;
const VERSION = utf8ToBytes("HPKE-v1");
const KEM_SUITE = concatBytes(utf8ToBytes("KEM"), Uint8Array.of(0x00, 0x20));
const HPKE_SUITE = concatBytes(utf8ToBytes("HPKE"), Uint8Array.of(0x00, 0x20, 0x00, 0x01, 0x00, 0x02));
const NOTHING = new Uint8Array();

/** The public half of a private key. */
export function publicKeyOf(privateKey) {
  return x25519.getPublicKey(privateKey);
}

/**
 * Seal to a public key under `info`, a list of texts and integers.
 * @param {Uint8Array} [ephemeral] private key of this one message; fresh by default, given only by test vectors
 * @throws {Refusal} public-key
 */
export function seal(publicKey, info, plaintext, ephemeral = x25519.utils.randomPrivateKey()) {
  const encapsulated = x25519.getPublicKey(ephemeral);
  const { key, nonce } = schedule(agree(ephemeral, publicKey, "public-key"), encapsulated, publicKey, bound(info));
  return concatBytes(encapsulated, gcm(key, nonce).encrypt(plaintext));
}

/**
 * Open what was sealed to this key under the same `info`.
 * @throws {Refusal} wrap-altered
 */
export function open(privateKey, info, sealed) {
  if (sealed.length < KEY_BYTES + TAG_BYTES) throw new Refusal("wrap-altered");
  const encapsulated = sealed.subarray(0, KEY_BYTES);
  const secret = agree(privateKey, encapsulated, "wrap-altered");
  const { key, nonce } = schedule(secret, encapsulated, x25519.getPublicKey(privateKey), bound(info));
  try {
    return gcm(key, nonce).decrypt(sealed.subarray(KEY_BYTES));
  } catch {
    throw new Refusal("wrap-altered");
  }
}

/**
 * Key and first nonce of base mode (RFC 9180 sections 4.1 and 5.1), from the agreed secret and the bytes of `info`.
 * Exported because RFC 9180 has vectors for it.
 */
export function schedule(secret, encapsulated, publicKey, info) {
  const shared = labeledExpand(
    KEM_SUITE,
    labeledExtract(KEM_SUITE, NOTHING, "eae_prk", secret),
    "shared_secret",
    concatBytes(encapsulated, publicKey),
    KEY_BYTES,
  );
  const context = concatBytes(
    Uint8Array.of(0),
    labeledExtract(HPKE_SUITE, NOTHING, "psk_id_hash", NOTHING),
    labeledExtract(HPKE_SUITE, NOTHING, "info_hash", info),
  );
  const root = labeledExtract(HPKE_SUITE, shared, "secret", NOTHING);
  return {
    key: labeledExpand(HPKE_SUITE, root, "key", context, 32),
    nonce: labeledExpand(HPKE_SUITE, root, "base_nonce", context, 12),
  };
}

function bound(info) {
  return canonical([ALG, ...info]);
}

function agree(privateKey, publicKey, reason) {
  try {
    return x25519.getSharedSecret(privateKey, publicKey); // throws on the all-zero result
  } catch {
    throw new Refusal(reason);
  }
}

function labeledExtract(suite, salt, label, material) {
  return extract(sha256, concatBytes(VERSION, suite, utf8ToBytes(label), material), salt);
}

function labeledExpand(suite, key, label, info, length) {
  const prefix = Uint8Array.of(length >> 8, length & 255);
  return expand(sha256, key, concatBytes(prefix, VERSION, suite, utf8ToBytes(label), info), length);
}
