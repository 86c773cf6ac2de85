Feature: The key is elsewhere

  Background:
    Given a user of Renhe without a signer at the gateway of Renhe
    And the contract that two hospitals must endorse

  Scenario: An evaluation without a signature is not sent
    When the user evaluates Echo with {"text": "x"}
    Then there is no signature

  Scenario: A submission without a signature is not sent
    When the user submits Echo with {"text": "x"}
    Then there is no signature

  Scenario: An evaluation that is signed elsewhere
    Given the messages are signed elsewhere
    When the user evaluates Echo with {"text": "x"}
    Then the answer is "x"

  Scenario: A submission that is signed elsewhere at every stage
    Given the messages are signed elsewhere
    When the user submits Echo with {"text": "x"}
    Then the answer is "x"

  Scenario Outline: Events whose request is signed elsewhere
    When the user asks offline for <kind>
    Then the first block is received

    Examples:
      | kind                    |
      | blocks                  |
      | filtered blocks         |
      | blocks and private data |

  Scenario: A transaction endorsed by one peer, kept, submitted through another, asked for at a third
    Given a user of Renhe at the gateway of Renhe
    When the user endorses Put with {"drawer": "kept", "text": "once"} and keeps the transaction
    And the kept transaction is submitted through the gateway of Mingde
    And the kept transaction is submitted again through the gateway of Ankang
    Then its status at the gateway of Ankang is VALID
