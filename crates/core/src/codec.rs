//! The binary form of a result's outputs: the column `results.outputs`.

use crate::monitor::ProbeType;
use crate::outcome::Outputs;

/// Why stored bytes could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Written by a newer version.
    #[error("outputs of version {0} cannot be read by this version")]
    Version(u8),
    /// Cut or damaged.
    #[error("outputs are damaged")]
    Damaged,
}

/// Encodes the outputs of a run whose `value` is stored beside them.
pub fn encode(_probe: ProbeType, _outputs: &Outputs, _value: Option<f32>) -> Vec<u8> {
    todo!()
}

/// Decodes what [`encode`] wrote.
pub fn decode(_probe: ProbeType, _bytes: &[u8], _value: Option<f32>) -> Result<Outputs, CodecError> {
    todo!()
}
