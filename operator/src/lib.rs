//! Watches Monitors, writes them to PostgreSQL, reports status.
