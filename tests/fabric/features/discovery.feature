Feature: The gateway finds who must endorse

  Background:
    Given a user of Renhe at the gateway of Renhe
    And the contract that two hospitals must endorse

  Scenario: Enough endorsers are there
    When the user submits Echo with {"text": "enough"}
    Then the answer is "enough"

  Scenario: An endorser that is down is replaced by another
    When the peers of Ankang are stopped
    And the user submits Echo with {"text": "still enough"}
    Then the answer is "still enough"

  Scenario: Too few endorsers are there
    When the peers of all but Renhe are stopped
    And the user submits Echo with {"text": "too few"}
    Then it fails at the endorsement

  Scenario: The gateway's own peer is down
    When the peers of Renhe are stopped
    And the user evaluates Echo with {"text": "nobody"}
    Then it fails at the evaluation
    And the status is UNAVAILABLE
    When a user of Renhe turns to the gateway of Mingde
    And the user submits Echo with {"text": "somebody"}
    Then the answer is "somebody"
