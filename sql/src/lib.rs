//! Migrations, schema and every SQL statement.
