//! Dealing shards to runners: minimal movement, balanced by probe rate. Pure; driven by `nanomon-dealer`.
