//! What the API server refuses beyond types and lengths, as CEL.
//!
//! No rule stands on the object's root (status writes run those again and again), and none can *error*: whatever may
//! fail, such as `duration()` or `url()`, is guarded by a `matches()` or `isURL()` before it. Otherwise an object that
//! was stored under a looser schema could not take status patches any more.

use kube::core::Rule;

use crate::grammar::{self, sentences};

fn rule(expression: &str, sentence: &str) -> Rule {
    Rule::new(expression).message(sentence)
}

fn matches(pattern: &str, sentence: &str) -> Rule {
    rule(&format!("self.matches(r'{pattern}')"), sentence)
}

fn matches_not(pattern: &str, sentence: &str) -> Rule {
    rule(&format!("!self.matches(r'{pattern}')"), sentence)
}

/// A bound on a duration that holds also for texts that are none.
fn duration_bounds(bounds: &str, sentence: &str) -> Rule {
    rule(&format!("!self.matches(r'{}') || {bounds}", grammar::DURATION), sentence)
}

pub(super) fn one_target() -> Rule {
    rule(
        "[has(self.http), has(self.tcp), has(self.ping), has(self.dns)].filter(x, x).size() == 1",
        sentences::ONE_TARGET,
    )
}

/// A written timeout is shorter than the interval; `member` is the union's.
pub(super) fn timeout_shorter(member: &str) -> Rule {
    let duration = grammar::DURATION;
    rule(
        &format!(
            "!has(self.{member}) || !has(self.{member}.timeout) || !self.{member}.timeout.matches(r'{duration}') || \
             !self.interval.matches(r'{duration}') || duration(self.{member}.timeout) < duration(self.interval)"
        ),
        sentences::TIMEOUT_INTERVAL,
    )
    .field_path(format!(".{member}.timeout"))
}

/// A train of echo requests ends before the next run. CEL has no product of a duration and a number, hence the sum.
pub(super) fn ping_train() -> Rule {
    let duration = grammar::DURATION;
    let steps = (0..nanomon_core::monitor::limits::PING_COUNT_MAX).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    rule(
        &format!(
            "!has(self.ping) || !self.ping.interval.matches(r'{duration}') || !self.interval.matches(r'{duration}') || \
             [{steps}].filter(n, n < self.ping.count - 1).map(n, duration(self.ping.interval)).sum() + \
             (has(self.ping.timeout) && self.ping.timeout.matches(r'{duration}') ? duration(self.ping.timeout) : duration('0s')) \
             < duration(self.interval)"
        ),
        sentences::PING_TRAIN,
    )
    .field_path(".ping")
}

pub(super) fn display_name() -> Rule {
    matches_not(grammar::CONTROL, sentences::DISPLAY_NAME)
}

pub(super) fn group() -> Rule {
    matches_not(grammar::CONTROL, sentences::GROUP)
}

pub(super) fn interval_form() -> Rule {
    matches(grammar::DURATION, sentences::INTERVAL_FORM)
}

pub(super) fn interval_bounds() -> Rule {
    duration_bounds(
        "(duration(self) >= duration('1s') && duration(self) <= duration('24h'))",
        sentences::INTERVAL_BOUNDS,
    )
}

pub(super) fn timeout_form() -> Rule {
    matches(grammar::DURATION, sentences::TIMEOUT_FORM)
}

pub(super) fn timeout_bounds() -> Rule {
    duration_bounds(
        "(duration(self) >= duration('1ms') && duration(self) <= duration('60s'))",
        sentences::TIMEOUT_BOUNDS,
    )
}

pub(super) fn rule_text() -> Rule {
    matches_not(grammar::CONTROL_IN_TEXT, sentences::RULE)
}

pub(super) fn pools() -> Rule {
    rule(&format!("self.all(pool, pool.matches(r'{}'))", grammar::POOL_NAME), sentences::POOL)
}

pub(super) fn url_scheme() -> Rule {
    matches(grammar::URL_SCHEME, sentences::URL_SCHEME)
}

/// Says nothing where another rule on the URL already does.
pub(super) fn url_form() -> Rule {
    rule(
        &format!(
            "!self.matches(r'{}') || self.matches(r'{}') || (isURL(self) && url(self).getHostname() != '')",
            grammar::URL_SCHEME,
            grammar::URL_FORBIDDEN
        ),
        sentences::URL_FORM,
    )
}

pub(super) fn url_user_info() -> Rule {
    matches_not(grammar::URL_USER_INFO, sentences::URL_USER_INFO)
}

pub(super) fn url_forbidden() -> Rule {
    matches_not(grammar::URL_FORBIDDEN, sentences::URL_FORBIDDEN)
}

pub(super) fn method() -> Rule {
    rule(
        &format!("self.matches(r'{}') && !self.matches(r'{}')", grammar::METHOD, grammar::METHOD_TUNNEL),
        sentences::METHOD,
    )
}

pub(super) fn header_name() -> Rule {
    matches(grammar::HEADER_NAME, sentences::HEADER_NAME)
}

pub(super) fn header_reserved() -> Rule {
    matches_not(grammar::HEADER_RESERVED, sentences::HEADER_RESERVED)
}

pub(super) fn header_value() -> Rule {
    matches_not(grammar::HEADER_VALUE_FORBIDDEN, sentences::HEADER_VALUE)
}

pub(super) fn body() -> Rule {
    rule("bytes(self).size() <= 65536", sentences::BODY)
}

pub(super) fn body_regex() -> Rule {
    matches_not(grammar::CONTROL_IN_TEXT, sentences::BODY_REGEX)
}

pub(super) fn address_form() -> Rule {
    rule(
        &format!(
            "self.matches(r'{}') || (self.matches(r'^\\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\\]:[0-9]+$') && \
             isIP(self.substring(1, self.indexOf(']'))))",
            grammar::name_and_port_pattern()
        ),
        sentences::ADDRESS_FORM,
    )
}

pub(super) fn address_port() -> Rule {
    rule(
        &format!("!self.matches(r':[0-9]+$') || self.matches(r'{}')", grammar::ends_in_port_pattern()),
        sentences::ADDRESS_PORT,
    )
}

pub(super) fn host() -> Rule {
    rule(&format!("self.matches(r'{}') || isIP(self)", grammar::name_pattern()), sentences::HOST)
}

pub(super) fn ping_interval_form() -> Rule {
    matches(grammar::DURATION, sentences::PING_INTERVAL_FORM)
}

pub(super) fn ping_interval_min() -> Rule {
    duration_bounds("duration(self) >= duration('100ms')", sentences::PING_INTERVAL_MIN)
}

pub(super) fn dns_name() -> Rule {
    matches(&grammar::question_pattern(), sentences::DNS_NAME)
}

pub(super) fn server_form() -> Rule {
    rule(
        &format!(
            "isIP(self) || self.matches(r'{}') || \
             (self.matches(r'^\\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\\](:[0-9]+)?$') && \
             isIP(self.substring(1, self.indexOf(']'))))",
            grammar::name_and_optional_port_pattern()
        ),
        sentences::SERVER_FORM,
    )
}

pub(super) fn server_port() -> Rule {
    rule(
        &format!(
            "isIP(self) || !self.matches(r'^([^:]+|\\[.*\\]):[0-9]+$') || self.matches(r'{}')",
            grammar::ends_in_port_pattern()
        ),
        sentences::SERVER_PORT,
    )
}
