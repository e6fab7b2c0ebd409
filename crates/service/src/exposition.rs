//! The two text forms of metrics and who renders them.

/// The form that a scraper asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.0; the admin port adds the closing `# EOF`.
    OpenMetrics,
}

impl Exposition {
    /// Chosen by the request's `Accept` header.
    pub fn from_accept(accept: Option<&str>) -> Self {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Self::OpenMetrics,
            _ => Self::Text,
        }
    }

    /// The answer's content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A part that has metrics. Families of different sources must have different names.
pub trait MetricsSource: Send + Sync {
    /// Appends complete families in the given form, without `# EOF`.
    fn render(&self, form: Exposition, out: &mut String);
}

impl<F: Fn(Exposition, &mut String) + Send + Sync> MetricsSource for F {
    fn render(&self, form: Exposition, out: &mut String) {
        self(form, out);
    }
}

/// A registry of `prometheus-client` as a source. That crate writes OpenMetrics only; the classic form differs in what is
/// mended here: no `# EOF`, no `# UNIT`, and counters whose `# TYPE`/`# HELP` carry the sample's name with `_total`.
pub fn registry_source(registry: std::sync::Arc<prometheus_client::registry::Registry>) -> impl MetricsSource {
    move |form: Exposition, out: &mut String| {
        let mut text = String::new();
        if prometheus_client::encoding::text::encode(&mut text, &registry).is_err() {
            return;
        }
        let text = text.strip_suffix("# EOF\n").unwrap_or(&text);
        match form {
            Exposition::OpenMetrics => out.push_str(text),
            Exposition::Text => out.push_str(&classic(text)),
        }
    }
}

fn classic(openmetrics: &str) -> String {
    let counters: std::collections::HashSet<&str> =
        openmetrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut out = String::with_capacity(openmetrics.len());
    for line in openmetrics.lines() {
        if line.starts_with("# UNIT ") {
            continue;
        }
        let header = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE "));
        match header.and_then(|rest| rest.split_once(' ')) {
            Some((name, rest)) if counters.contains(name) => {
                out.push_str(&line[..7]);
                out.push_str(name);
                out.push_str("_total ");
                out.push_str(rest);
            }
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::registry::Registry;

    #[test]
    fn a_registry_is_rendered_in_both_forms() {
        let mut registry = Registry::default();
        let counter: Counter = Counter::default();
        registry.register("nanomon_things", "Things", counter.clone());
        counter.inc();
        let source = registry_source(std::sync::Arc::new(registry));
        let (mut text, mut open) = (String::new(), String::new());
        source.render(Exposition::Text, &mut text);
        source.render(Exposition::OpenMetrics, &mut open);
        assert_eq!(
            text,
            "# HELP nanomon_things_total Things.\n# TYPE nanomon_things_total counter\nnanomon_things_total 1\n"
        );
        assert_eq!(open, "# HELP nanomon_things Things.\n# TYPE nanomon_things counter\nnanomon_things_total 1\n");
    }

    #[test]
    fn accept_decides() {
        assert_eq!(Exposition::from_accept(None), Exposition::Text);
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5";
        assert_eq!(Exposition::from_accept(Some(prometheus)), Exposition::OpenMetrics);
    }
}
