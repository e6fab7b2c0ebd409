//! Who holds the dealer's lease row and writes the shard map.
