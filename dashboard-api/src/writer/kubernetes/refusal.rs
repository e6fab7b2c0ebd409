//! What the API server refuses, in our words.

use axum::http::StatusCode;
use kube::core::Status;

use crate::error::{ApiError, FieldProblem};

/// Whether the name is taken (a conflict of versions has another reason).
pub fn is_taken(status: &Status) -> bool {
    status.reason == "AlreadyExists"
}

/// The API server does not answer.
pub fn unreachable() -> ApiError {
    ApiError::unavailable("the Kubernetes API is not reachable; try again soon", 5)
}

/// A refusal of the API server. Its sentences are meant for people and are passed on, except where they speak of our own
/// service account.
pub fn refused(error: kube::Error, namespace: &str) -> ApiError {
    let status = match error {
        kube::Error::Api(status) => status,
        error => {
            tracing::warn!(error = %error, "the Kubernetes API is not reachable");
            return unreachable();
        }
    };
    match status.code {
        400 | 422 => {
            let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
            let faults: Vec<FieldProblem> =
                causes.iter().map(|cause| FieldProblem::new(cause.field.clone(), cause.message.clone())).collect();
            if faults.is_empty() { ApiError::bad_request(status.message.clone()) } else { ApiError::invalid(faults) }
        }
        403 if status.message.contains("system:serviceaccount:") => {
            tracing::warn!(message = %status.message, "the API server refuses our service account");
            ApiError::forbidden(format!(
                "the API may not write monitors in the namespace {namespace}; its Role does not allow it there"
            ))
        }
        403 => ApiError::forbidden(status.message.clone()),
        404 if status.message.contains("namespaces") => {
            ApiError::invalid_field("namespace", format!("the namespace {namespace} does not exist"))
        }
        404 => {
            tracing::warn!(message = %status.message, "the API server does not know Monitors");
            ApiError::unavailable("the cluster has no Monitor kind; install its CustomResourceDefinition", 30)
        }
        409 => ApiError::conflict(status.message.clone()),
        413 => ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "the monitor is larger than the API server takes"),
        _ => {
            tracing::warn!(code = status.code, message = %status.message, "the API server refused");
            unreachable()
        }
    }
}
