"""Large uploads that go on where they broke off."""
