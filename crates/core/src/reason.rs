//! The bounded list of reasons why a run was not OK.
//!
//! A reason is stored as a number, shown as a stable word (metrics, API, status) and explained by one of our own
//! sentences; the peer's text never appears anywhere.

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $word:literal, $sentence:literal;)*) => {
        /// Why a run was not OK. Numbers are stored: never renumber, only add.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        pub enum Reason { $(#[doc = $sentence] $variant = $code),* }

        impl Reason {
            /// Every reason, in the order of their numbers.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant),*];

            /// The stable word used in metrics, the API and `status.failureReason`.
            pub fn as_str(self) -> &'static str { match self { $(Reason::$variant => $word),* } }

            /// One sentence for people.
            pub fn sentence(self) -> &'static str { match self { $(Reason::$variant => $sentence),* } }

            /// Reads the stored number; `None` for one written by a newer version.
            pub fn from_code(code: i16) -> Option<Self> { match code { $($code => Some(Reason::$variant),)* _ => None } }

            /// Reads the stable word.
            pub fn from_word(word: &str) -> Option<Self> { match word { $($word => Some(Reason::$variant),)* _ => None } }
        }
    };
}

reasons! {
    Ok = 0, "ok", "The run succeeded.";
    RuleFalse = 1, "rule_false", "The rule does not hold.";
    RuleError = 2, "rule_error", "The rule could not be evaluated on these outputs.";
    RuleTimeout = 3, "rule_timeout", "The rule or regular expression took too long.";
    BodyTooLarge = 4, "body_too_large", "The body is larger than 1 MiB and the rule does not hold on its first 1 MiB.";
    DnsNxdomain = 10, "dns_nxdomain", "The name does not exist.";
    DnsNoRecords = 11, "dns_no_records", "The name exists but has no record of this type.";
    DnsTimeout = 12, "dns_timeout", "The DNS server did not answer in time.";
    DnsServfail = 13, "dns_servfail", "The DNS server answered that it failed.";
    DnsRefused = 14, "dns_refused", "The DNS server refused the question.";
    DnsError = 15, "dns_error", "The name could not be resolved.";
    ConnectRefused = 20, "connect_refused", "The connection was refused.";
    ConnectTimeout = 21, "connect_timeout", "The connection was not accepted in time.";
    ConnectReset = 22, "connect_reset", "The connection was reset.";
    NoRoute = 23, "no_route", "There is no route to the address.";
    ConnectError = 24, "connect_error", "The connection could not be made.";
    TlsExpired = 30, "tls_expired", "The certificate has expired.";
    TlsNotYetValid = 31, "tls_not_yet_valid", "The certificate is not valid yet.";
    TlsUntrusted = 32, "tls_untrusted", "The certificate is not signed by a trusted authority.";
    TlsWrongHost = 33, "tls_wrong_host", "The certificate is not for this host name.";
    TlsInvalid = 34, "tls_invalid", "The certificate is not valid.";
    TlsHandshake = 35, "tls_handshake", "The TLS handshake failed.";
    Timeout = 40, "timeout", "The run did not finish within its timeout.";
    HttpProtocol = 41, "http_protocol", "The answer is not valid HTTP.";
    HttpClosed = 42, "http_closed", "The connection was closed before the answer was complete.";
    HttpTooManyRedirects = 43, "http_too_many_redirects", "There were more than 10 redirects.";
    HttpBadRedirect = 44, "http_bad_redirect", "The redirect leads to no valid http or https address.";
    PingNoReply = 50, "ping_no_reply", "No echo reply was received.";
    IcmpNotPermitted = 51, "icmp_not_permitted", "Sending ICMP is not permitted here: net.ipv4.ping_group_range must include the group of the runner, or it needs CAP_NET_RAW.";
    IcmpError = 52, "icmp_error", "The echo request could not be sent.";
    BlockedByPolicy = 60, "blocked_by_policy", "The address is not allowed by the target policy.";
    RunnerStalled = 70, "runner_stalled", "The runner itself was held up during the run; nothing can be said about the target.";
    SkippedHostLimit = 72, "skipped_host_limit", "Too many runs against this host were in flight.";
    Internal = 79, "internal", "The run failed inside the runner.";
}

impl Reason {
    /// The stored number.
    pub fn code(self) -> i16 {
        self as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_words_are_unique_and_round_trip() {
        let mut words = std::collections::BTreeSet::new();
        for &reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
            assert_eq!(Reason::from_word(reason.as_str()), Some(reason));
            assert!(words.insert(reason.as_str()));
            assert!(reason.sentence().ends_with('.'));
        }
    }
}
