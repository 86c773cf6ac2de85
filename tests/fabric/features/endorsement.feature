Feature: A user says which organisations endorse

  Background:
    Given a user of Renhe at the gateway of Renhe
    And the contract that one hospital must endorse

  Scenario Outline: A submission goes to one organisation
    Given the user signs with a key in a <keeper>
    And the transaction is for <organisation>
    When the user submits PeerOrganization with {}
    Then the answer is "<organisation>"

    Examples:
      | keeper | organisation |
      | file   | RenheMSP     |
      | file   | MingdeMSP    |
      | file   | AnkangMSP    |
      | token  | RenheMSP     |
      | token  | MingdeMSP    |
      | token  | AnkangMSP    |

  Scenario Outline: A submission goes to two organisations
    Given the user signs with a key in a <keeper>
    And the transaction is for RenheMSP, AnkangMSP
    And the transient data
      | RenheMSP  | for Renhe  |
      | AnkangMSP | for Ankang |
    When the user submits CheckTransient with {}
    Then the answer is "fits"

    Examples:
      | keeper |
      | file   |
      | token  |

  Scenario Outline: An evaluation goes to one organisation
    Given the user signs with a key in a <keeper>
    And the transaction is for <organisation>
    When the user evaluates PeerOrganization with {}
    Then the answer is "<organisation>"

    Examples:
      | keeper | organisation |
      | file   | RenheMSP     |
      | file   | MingdeMSP    |
      | token  | RenheMSP     |
      | token  | MingdeMSP    |

  Scenario: Fewer endorsements than the policy wants are refused at the commit
    Given the contract that two hospitals must endorse
    And the transaction is for RenheMSP
    When the user submits Put with {"drawer": "alone", "text": "forged"}
    Then it fails at the commit
    And the code is ENDORSEMENT_POLICY_FAILURE
    When the user evaluates Read with {"drawer": "alone"}
    Then it fails at the evaluation
