Feature: A user listens for a contract's events

  Background:
    Given a user of Renhe at the gateway of Renhe
    And the contract that two hospitals must endorse

  Scenario: An event is received
    When the user listens for events
    And the user announces "opened" with "top drawer"
    Then the event "opened" with "top drawer" is received

  Scenario: Events are replayed
    When the user announces "replay" with "from its block"
    And the user listens for events from the last block
    Then the event "replay" with "from its block" is received

  Scenario: Listening again after closing
    When the user listens for events
    And the user announces "restart" with "one"
    Then the event "restart" with "one" is received
    When the user stops listening
    And the user listens for events
    And the user announces "restart" with "two"
    Then the event "restart" with "two" is received

  Scenario: Closing one listener leaves another
    When the user listens for events
    And another listener listens for events
    And the user announces "close" with "before"
    Then the event "close" with "before" is received
    And the other listener receives the event "close" with "before"
    When the user stops listening
    And the user announces "close" with "after"
    Then the other listener receives the event "close" with "after"

  Scenario Outline: Going on after a checkpoint
    Given a checkpoint in <keeping>
    When the user listens for events with the checkpoint
    And the user announces "checkpoint" with "one"
    Then the event "checkpoint" with "one" is received
    When the event is recorded in the checkpoint
    And the user stops listening
    And the user announces "checkpoint" with "two"
    And the user listens for events from the checkpoint
    Then the first event received is "checkpoint" with "two"

    Examples:
      | keeping |
      | memory  |
      | a file  |

  Scenario: Going on inside a block
    Given a checkpoint in a file
    When three events are announced in one block
    And the user listens for events from that block
    And the second of the three is recorded in the checkpoint
    And the user stops listening
    And the user listens for events from the checkpoint
    Then the first event received is the third of the three

  Scenario: Closing the gateway ends a listener
    When the user listens for events
    And the gateway is closed
    Then listening has ended without an error
