Feature: A user listens for blocks

  Background:
    Given a user of Renhe at the gateway of Renhe
    And the contract that two hospitals must endorse

  Scenario Outline: A block is received
    When the user listens for <kind>
    And the user commits Echo with {"text": "block"}
    Then the transaction is received

    Examples:
      | kind                    |
      | blocks                  |
      | filtered blocks         |
      | blocks and private data |

  Scenario Outline: Blocks are replayed
    When the user commits Echo with {"text": "block"}
    And the user listens for <kind> from the last block
    Then the transaction is received

    Examples:
      | kind                    |
      | blocks                  |
      | filtered blocks         |
      | blocks and private data |

  Scenario Outline: Listening again after closing
    When the user listens for <kind>
    And the user commits Echo with {"text": "one"}
    Then the transaction is received
    When the user stops listening
    And the user listens for <kind>
    And the user commits Echo with {"text": "two"}
    Then the transaction is received

    Examples:
      | kind                    |
      | blocks                  |
      | filtered blocks         |
      | blocks and private data |

  Scenario Outline: Closing one listener leaves another
    When the user listens for <kind>
    And another listener listens for <kind>
    And the user commits Echo with {"text": "before"}
    Then the transaction is received
    And the other listener receives the transaction
    When the user stops listening
    And the user commits Echo with {"text": "after"}
    Then the other listener receives the transaction

    Examples:
      | kind                    |
      | blocks                  |
      | filtered blocks         |
      | blocks and private data |

  Scenario Outline: Going on after a checkpoint
    Given a checkpoint in a file
    When the user listens for <kind>
    And the user commits Echo with {"text": "one"}
    Then the transaction is received
    When the block is recorded in the checkpoint
    And the user stops listening
    And the user commits Echo with {"text": "two"}
    And the user listens for <kind> from the checkpoint
    Then the blocks received begin after the recorded one and lead to the transaction

    Examples:
      | kind                    |
      | blocks                  |
      | filtered blocks         |
      | blocks and private data |

  Scenario: A listener of whom the channel knows nothing is refused
    Given the user signs with the key of Mingde
    When the user listens for blocks from the last block
    Then listening ends with PERMISSION_DENIED
