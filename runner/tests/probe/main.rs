//! The probes against real servers on loopback: every output, every reason that concerns the network, and the policy.

#[cfg(test)]
mod dns;
#[cfg(test)]
mod http;
#[cfg(test)]
mod ping;
#[cfg(test)]
mod resolve;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tcp;
#[cfg(test)]
mod tls;
