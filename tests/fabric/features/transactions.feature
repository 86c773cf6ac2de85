Feature: A user evaluates and submits transactions

  Background:
    Given a user of Renhe at the gateway of Renhe
    And the contract that two hospitals must endorse

  Scenario: An evaluation has an answer
    When the user evaluates Echo with {"text": "pulse 72"}
    Then the answer is "pulse 72"

  Scenario: A submission has an answer
    When the user submits Echo with {"text": "pulse 72"}
    Then the answer is "pulse 72"

  Scenario: What was submitted can be read
    When the user submits Put with {"drawer": "update", "text": "ledger"}
    And the user evaluates Read with {"drawer": "update"}
    Then the answer is "\"ledger\""

  Scenario: What was evaluated was not written
    When the user evaluates Put with {"drawer": "evaluated", "text": "nothing"}
    And the user evaluates Read with {"drawer": "evaluated"}
    Then it fails at the evaluation

  Scenario: An empty answer is an answer
    When the user submits Echo with {"text": ""}
    Then the answer is ""

  Scenario: Transient data reaches the contract
    Given the transient data
      | one | first  |
      | two | second |
    When the user evaluates Transient with {}
    Then the answer is "{\"one\":\"first\",\"two\":\"second\"}"

  Scenario: A contract's refusal of an evaluation is an error
    When the user evaluates Refuse with {"status": 422}
    Then it fails at the evaluation
    And the status is UNKNOWN
    And the message contains "chaincode response 422"
    And the details are
      | RenheMSP | chaincode response 422 |

  Scenario: A contract's refusal of a submission is an error
    When the user submits Refuse with {"status": 422}
    Then it fails at the endorsement
    And the status is ABORTED
    And the message contains "failed to endorse transaction, see attached details for more info"
    And the details are
      | RenheMSP | chaincode response 422 |

  Scenario: Two who change the same drawer at once do not both succeed
    When the user submits Append twice at once with {"drawer": "conflict", "text": "a"}
    Then one is valid and one is refused with MVCC_READ_CONFLICT
