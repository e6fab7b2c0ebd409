//! The REST API and the host of the single-page application.
