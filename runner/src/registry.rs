//! The meters of the series that this runner runs, by id. Written by the catalog, read by scrapes.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use nanomon_sql::SeriesId;

use crate::meter::SeriesMeter;

/// The meters.
#[derive(Debug, Default)]
pub struct Registry {
    series: RwLock<BTreeMap<SeriesId, Arc<SeriesMeter>>>,
}

impl Registry {
    /// Puts a series on; its former meter's counts go on.
    pub fn put(&self, id: SeriesId, meter: Arc<SeriesMeter>) {
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(former) = series.get(&id) {
            meter.inherit(former);
        }
        series.insert(id, meter);
    }

    /// Takes a series off.
    pub fn remove(&self, id: SeriesId) {
        self.series.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// Those that are on now.
    pub fn list(&self) -> Vec<Arc<SeriesMeter>> {
        self.series.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The meter of a series.
    pub fn get(&self, id: SeriesId) -> Option<Arc<SeriesMeter>> {
        self.series.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }
}
