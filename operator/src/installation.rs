//! Which installation this is: rows of others in the same database are none of our business.

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, ResourceExt as _};

use crate::error::{OperatorError, Result};

/// `<UID of kube-system>/<release namespace>/<release name>`: survives everything but a new cluster.
///
/// # Errors
/// The API server does not answer, or does not let us read that namespace.
pub async fn read(client: Client, release_namespace: &str, release: &str) -> Result<String> {
    let namespaces: Api<Namespace> = Api::all(client);
    let system = namespaces.get("kube-system").await?;
    let uid = system.uid().ok_or_else(|| OperatorError::Setting("namespace kube-system has no uid".to_owned()))?;
    Ok(format!("{uid}/{release_namespace}/{release}"))
}
