//! Help for authors of rules.

use axum::Json;
use nanomon_core::ProbeType;
use nanomon_core::monitor::limits;
use nanomon_core::rule::Rule;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

use crate::error::{ApiError, ApiResult, Problem};
use crate::extract::JsonBody;
use crate::view::system::{OutputInfo, outputs_by_type};

/// A rule to be judged.
#[derive(ToSchema)]
#[schema(as = RuleInput)]
#[expect(dead_code, reason = "its fields are read one by one, so that a fault names its field")]
pub struct RuleInputDoc {
    /// `http`, `tcp`, `ping` or `dns`.
    #[schema(rename = "type")]
    kind: String,
    /// The rule.
    rule: String,
}

/// What is wrong with a rule, if anything.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleVerdict {
    /// Whether it compiles for this type.
    pub valid: bool,
    /// Character offset at which the fault begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub position: Option<usize>,
    /// The fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<String>,
}

/// Judges a rule without storing it.
#[utoipa::path(
    post, path = "/api/rules/check", tag = "rules", request_body = RuleInputDoc,
    responses((status = 200, body = RuleVerdict), (status = "4XX", body = Problem, content_type = "application/problem+json"))
)]
pub async fn check_rule(JsonBody(body): JsonBody) -> ApiResult<Json<RuleVerdict>> {
    if !body.is_object() {
        return Err(ApiError::bad_request("a JSON object with type and rule is expected"));
    }
    let text = |field: &str| match body.get(field) {
        None | Some(Value::Null) => Err(ApiError::invalid_field(field, format!("{field} is missing"))),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(ApiError::invalid_field(field, format!("{field} must be a text"))),
    };
    let probe =
        ProbeType::from_word(&text("type")?).ok_or_else(|| ApiError::invalid_field("type", "invalid monitor type"))?;
    let rule = text("rule")?;
    if rule.trim().is_empty() {
        return Ok(Json(RuleVerdict { valid: true, position: None, message: None }));
    }
    if rule.chars().count() > limits::RULE_CHARS {
        let message = format!("rule must not be longer than {} characters", limits::RULE_CHARS);
        return Ok(Json(RuleVerdict { valid: false, position: Some(limits::RULE_CHARS), message: Some(message) }));
    }
    // Microseconds for most rules, but the worst one should not hold up other requests.
    let compiled = tokio::task::spawn_blocking(move || Rule::compile(&rule, probe).err());
    let verdict = match compiled.await.map_err(ApiError::internal)? {
        None => RuleVerdict { valid: true, position: None, message: None },
        Some(fault) => RuleVerdict { valid: false, position: Some(fault.position), message: Some(fault.message) },
    };
    Ok(Json(verdict))
}

/// Lists what rules of each type may name.
#[utoipa::path(get, path = "/api/outputs", tag = "rules", responses((status = 200, body = BTreeMap<String, Vec<OutputInfo>>)))]
pub async fn list_outputs() -> Json<BTreeMap<&'static str, Vec<OutputInfo>>> {
    Json(outputs_by_type())
}
