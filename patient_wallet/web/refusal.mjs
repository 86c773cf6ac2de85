/** What every check of the wallet throws: a reason code of the product's taxonomy, never the refused bytes. */
export class Refusal extends Error {
  /** @param {string} reason code, equal to the `reason` that the Python core gives */
  constructor(reason) {
    super(`refused: ${reason}`);
    this.name = "Refusal";
    this.reason = reason;
  }
}
