//! The Kubernetes API types of nanomon.io and their conversion into the domain.
