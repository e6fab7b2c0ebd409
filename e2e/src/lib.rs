//! Whole-system tests from outside.
