//! From a stored definition to what the probe thread runs. Costs milliseconds for some monitors, so it is done elsewhere.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use nanomon_core::MonitorDef;
use nanomon_core::monitor::Target;
use nanomon_core::rule::{RuleError, RuleInterner};

use crate::judge::Judge;
use crate::plan::{HostGate, ProbeRun, Work, host_of};
use crate::probe::{PrepareError, PrepareHints, Prober};

/// Why this version cannot run a definition. Definitions are checked when they are saved, so this is rare.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The rule.
    #[error("rule: {0}")]
    Rule(#[from] RuleError),
    /// The body regex.
    #[error("http.bodyRegex: {0}")]
    Regex(String),
    /// Everything else.
    #[error(transparent)]
    Probe(#[from] PrepareError),
}

/// Compiles definitions; equal rules, regexes, TLS settings and hosts are shared.
#[derive(Debug)]
pub struct Compiler {
    prober: Prober,
    interner: RuleInterner,
    hosts: HashMap<String, Weak<HostGate>>,
    sweep_at: usize,
}

impl Compiler {
    /// A compiler for runs by this prober.
    pub fn new(prober: Prober) -> Self {
        Self { prober, interner: RuleInterner::default(), hosts: HashMap::new(), sweep_at: 64 }
    }

    /// Compiles a definition of a monitor in this namespace.
    pub fn compile(&mut self, def: &MonitorDef, namespace: &str) -> Result<Work, CompileError> {
        let rule = def.rule.as_ref().map(|rule| self.interner.rule(rule, def.probe_type())).transpose()?;
        let regex = match &def.target {
            Target::Http(http) => http.body_regex.as_ref(),
            Target::Tcp(_) | Target::Ping(_) | Target::Dns(_) => None,
        };
        let regex = regex.map(|regex| self.interner.body_regex(regex)).transpose().map_err(CompileError::Regex)?;
        let judge = Judge { rule, regex };
        let rule_reads_body = judge.rule.as_ref().is_some_and(|rule| rule.reads_body());
        let hints = PrepareHints { namespace: Some(namespace), rule_reads_body };
        let prepared = self.prober.prepare(def, hints)?;
        let run = ProbeRun { prober: self.prober.clone(), prepared };
        Ok(Work::new(def, Box::new(run), judge))
    }

    /// The gate of the host that this definition dials.
    pub fn gate(&mut self, def: &MonitorDef) -> Arc<HostGate> {
        let host = host_of(def);
        if let Some(gate) = self.hosts.get(&host).and_then(Weak::upgrade) {
            return gate;
        }
        if self.hosts.len() >= self.sweep_at {
            self.hosts.retain(|_, gate| gate.strong_count() > 0);
            self.sweep_at = (2 * self.hosts.len()).max(64);
        }
        let gate = Arc::new(HostGate::default());
        self.hosts.insert(host, Arc::downgrade(&gate));
        gate
    }
}
