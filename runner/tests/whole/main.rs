//! Runners from start to end: real PostgreSQL, real targets whose log is the judge, real faults.

#[cfg(test)]
mod child;
#[cfg(test)]
mod definitions;
#[cfg(test)]
mod handover;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod storing;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tree;
