//! Whole-system tests from outside: the harness.
//!
//! Tests are named by what they prove: `admit_*` (what the API server takes and refuses), `lifecycle_*` (a Monitor from
//! apply to tombstone), `whole_*` (all parts as processes), `outage_*` (what is stored while PostgreSQL and runners die). Nothing here is part of the product.

pub mod cluster;
pub mod controlplane;
pub mod judge;
pub mod operator;
pub mod pki;
pub mod stack;
pub mod stage;
pub mod wait;
pub mod witness;

pub use controlplane::ControlPlane;
pub use operator::{OperatorStage, TestOperator};
pub use wait::eventually;
