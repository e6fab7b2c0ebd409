//! Whole-system tests from outside: the harness.
//!
//! Tests are named by what they prove: `admit_*` (what the API server takes and refuses), `lifecycle_*` (a Monitor from
//! apply to tombstone). Nothing here is part of the product.

pub mod controlplane;
pub mod operator;
pub mod pki;
pub mod wait;

pub use controlplane::ControlPlane;
pub use operator::{OperatorStage, TestOperator};
pub use wait::eventually;
