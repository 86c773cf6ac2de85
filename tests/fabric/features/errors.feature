Feature: Failures are errors that say where and why

  Background:
    Given a user of Renhe at the gateway of Renhe
    And the contract that two hospitals must endorse

  Scenario: Arguments that the contract's service refuses
    When the user evaluates Echo with no JSON
    Then it fails at the evaluation
    And the status is UNKNOWN
    And the message contains "chaincode response"

  Scenario: A contract that is not on the channel
    Given the contract nobody
    When the user submits Echo with {"text": "x"}
    Then it fails at the endorsement
    And the status is FAILED_PRECONDITION
    And the message contains "No metadata was found for chaincode nobody"

  Scenario: A channel that the peer is not on
    Given the channel elsewhere
    When the user evaluates Echo with {"text": "x"}
    Then it fails at the evaluation

  Scenario: A transaction that the contract does not have
    When the user submits Nonsense with {}
    Then it fails at the endorsement
    And the status is ABORTED
    And the message contains "failed to endorse transaction, see attached details for more info"
    And the details are
      | RenheMSP | there is no such transaction |

  Scenario: A contract that breaks
    When the user evaluates Break with {}
    Then it fails at the evaluation
    And the message contains "chaincode response 500"

  Scenario: A contract whose process dies
    When the user evaluates Crash with {}
    Then it fails at the evaluation
    And the status is ABORTED
    And the message contains "failed to evaluate transaction, see attached details for more info"
    And the details of every hospital contain "chaincode stream terminated"
    When the contract's processes are started again
    Then the user can evaluate Echo again

  Scenario: A signature of somebody else
    Given the user signs with the key of Mingde
    When the user evaluates Echo with {"text": "x"}
    Then it fails at the evaluation
    And the status is FAILED_PRECONDITION
    And the details are
      | RenheMSP | access denied |

  Scenario: The gateway's organisation refuses an evaluation
    When the user evaluates RefuseAt with {"organizations": "RenheMSP"}
    Then it fails at the evaluation
    And the status is UNKNOWN
    And the message contains "RenheMSP refuses"

  Scenario: One of three organisations refuses to endorse
    Given the transaction is for RenheMSP, MingdeMSP, AnkangMSP
    When the user submits RefuseAt with {"organizations": "AnkangMSP"}
    Then it fails at the endorsement
    And the status is ABORTED
    And the details are
      | AnkangMSP | AnkangMSP refuses |

  Scenario: Two of three organisations refuse to endorse
    Given the transaction is for RenheMSP, MingdeMSP, AnkangMSP
    When the user submits RefuseAt with {"organizations": "MingdeMSP AnkangMSP"}
    Then it fails at the endorsement
    And the status is ABORTED
    And the details are
      | MingdeMSP | MingdeMSP refuses |
      | AnkangMSP | AnkangMSP refuses |

  Scenario: Organisations that compute different answers
    When the user submits Differ with {}
    Then it fails at the endorsement
    And the status is ABORTED
    And the message contains "failed to collect enough transaction endorsements"
    And the details of every hospital but Renhe contain "ProposalResponsePayloads do not match"

  Scenario: A transaction that nobody submitted has no status
    When the user asks for the status of an unknown transaction
    Then it fails at the commit status
    And the status is DEADLINE_EXCEEDED
