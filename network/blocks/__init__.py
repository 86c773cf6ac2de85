"""Codec and rules of Hyperledger Fabric blocks: pure functions over bytes, no I/O, no clock, no randomness.

One noun per module: ``header`` and ``block`` (common/common.proto), ``proposal`` (building), ``transaction`` (reading),
``rwset``, ``signature``, ``identity`` and ``msp`` (membership), ``policy``, ``channel_config``, ``genesis``,
``config_update``, ``lifecycle``, ``mvcc``, ``validation``.
"""
