//! Rows as changes have made them, without their values: for each column the change that gave it last, over a row of the table.

use tidemark_engine::change::Cell;

use crate::tables::View;

/// A change: a batch and a row of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub(super) batch: usize,
    pub(super) row: usize,
}

/// A row. `B` names the row of the table that it began as.
#[derive(Debug, Clone)]
pub(super) struct Image<B> {
    pub(super) base: Option<B>,
    cells: Cells,
}

#[derive(Debug, Clone)]
enum Cells {
    /// One change gave all.
    All(At),
    /// `None` where the column is as the row began.
    Each(Vec<Option<At>>),
}

impl<B> Image<B> {
    /// The row `base` as it is.
    pub(super) fn of_base(base: B, width: usize) -> Self {
        Self { base: Some(base), cells: Cells::Each(vec![None; width]) }
    }

    /// What the change gives, with NULL where it gives nothing, over columns of `base` that are no fields.
    pub(super) fn of_change(base: Option<B>, at: At) -> Self {
        Self { base, cells: Cells::All(at) }
    }

    /// Gives the columns that the change carries.
    pub(super) fn overlay(&mut self, view: &View<'_>, at: At) {
        if let Cells::All(all) = self.cells {
            self.cells = Cells::Each(vec![Some(all); view.width()]);
        }
        let Cells::Each(cells) = &mut self.cells else { return };
        for (field, cell) in cells.iter_mut().enumerate() {
            if view.carries(field, at.row) {
                *cell = Some(at);
            }
        }
    }

    /// Whether changes gave every field.
    pub(super) fn is_given(&self) -> bool {
        match &self.cells {
            Cells::All(_) => true,
            Cells::Each(cells) => cells.iter().all(Option::is_some),
        }
    }

    /// Whether a change gave `field`.
    pub(super) fn gives(&self, field: usize) -> bool {
        self.source(field).is_some()
    }

    /// The change that gave `field`.
    pub(super) fn source(&self, field: usize) -> Option<At> {
        match &self.cells {
            Cells::All(at) => Some(*at),
            Cells::Each(cells) => cells[field],
        }
    }

    /// What `field` became; nothing where it is as the row began.
    pub(super) fn cell<'v>(&self, views: &[View<'v>], field: usize) -> Cell<'v> {
        self.source(field).map_or(Cell::Unchanged, |At { batch, row }| views[batch].cell(field, row))
    }

    /// For each field `1` where a change gave it, else `0`.
    pub(super) fn carried(&self, width: usize) -> String {
        (0..width).map(|field| if self.gives(field) { '1' } else { '0' }).collect()
    }
}
