// Reads {ed25519, jcs, hpke, schedules} from standard input and prints the wallet's verdicts, one for each case.
import { readFileSync } from "node:fs";

import { verifySignature } from "../../../patient_wallet/web/ed25519.mjs";
import { open, publicKeyOf, schedule, seal } from "../../../patient_wallet/web/hpke.mjs";
import { canonical, parse } from "../../../patient_wallet/web/jcs.mjs";
import { Refusal } from "../../../patient_wallet/web/refusal.mjs";

const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
const hex = (value) => Buffer.from(value).toString("hex");

/** The reason of a refusal; any other exception is a fault of the module and ends the run. */
function reason(check) {
  try {
    check();
    return "";
  } catch (error) {
    if (error instanceof Refusal) return error.reason;
    throw error;
  }
}

function read(text) {
  const encoded = bytes(text);
  return reason(() => {
    const again = canonical(parse(encoded));
    if (hex(again) !== text) throw new Error("what was read is not written back");
  });
}

function opened(one) {
  let plaintext = null;
  const refused = reason(() => {
    plaintext = hex(open(bytes(one.private), one.info, bytes(one.sealed)));
  });
  return { plaintext, refused };
}

function sealed(one) {
  const own = publicKeyOf(bytes(one.private));
  return hex(seal(own, one.info, bytes(one.plaintext), bytes(one.ephemeral)));
}

function scheduled(one) {
  const { key, nonce } = schedule(bytes(one.agreed), bytes(one.enc), bytes(one.public), bytes(one.info));
  return { key: hex(key), nonce: hex(nonce) };
}

const asked = JSON.parse(readFileSync(0, "utf8"));
const verdicts = {
  ed25519: (asked.ed25519 ?? []).map((one) =>
    reason(() => verifySignature(bytes(one.public), bytes(one.signature), bytes(one.message))),
  ),
  jcs: (asked.jcs ?? []).map(read),
  hpke: (asked.hpke ?? []).map(opened),
  sealed: (asked.sealed ?? []).map(sealed),
  weak: (asked.weak ?? []).map((point) => reason(() => seal(bytes(point), [], new Uint8Array()))),
  schedules: (asked.schedules ?? []).map(scheduled),
};
process.stdout.write(JSON.stringify(verdicts));
