//! Tensors on the host, and conversions between a layout's tensors and our parameters.

use layers::layout::{Entry, Form};

/// A tensor on the host, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// Its extents.
    pub shape: Vec<usize>,
    /// As many values as the extents multiply to.
    pub data: Vec<f32>,
}

impl Values {
    /// # Panics
    /// If `data` does not have as many values as `shape` says.
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Self {
        let shape = shape.into();
        assert_eq!(shape.iter().product::<usize>(), data.len(), "values of a tensor of {shape:?}");
        Self { shape, data }
    }

    fn reshape(self, shape: impl Into<Vec<usize>>) -> Self {
        Self::new(shape, self.data)
    }

    /// The axes in another order: axis `i` of the result is axis `axes[i]` of this.
    fn permute<const D: usize>(&self, axes: [usize; D]) -> Self {
        let strides: Vec<usize> = (0..D).map(|axis| self.shape[axis + 1..].iter().product()).collect();
        let shape = axes.map(|axis| self.shape[axis]);
        let strides = axes.map(|axis| strides[axis]);
        let mut data = Vec::with_capacity(self.data.len());
        let mut index = [0; D];
        let mut offset = 0;
        for _ in 0..self.data.len() {
            data.push(self.data[offset]);
            // Counts like an odometer, and updates the offset into the source with each digit.
            for axis in (0..D).rev() {
                index[axis] += 1;
                offset += strides[axis];
                if index[axis] < shape[axis] {
                    break;
                }
                offset -= strides[axis] * shape[axis];
                index[axis] = 0;
            }
        }
        Self::new(shape, data)
    }

    /// Tensors side by side along the last axis.
    ///
    /// # Panics
    /// If there are none.
    pub(super) fn join(parts: &[Self]) -> Self {
        let mut shape = parts[0].shape.clone();
        let widths: Vec<usize> = parts.iter().map(|part| part.shape[shape.len() - 1]).collect();
        let rows: usize = shape[..shape.len() - 1].iter().product();
        *shape.last_mut().expect("a tensor has an axis") = widths.iter().sum();
        let mut data = Vec::with_capacity(shape.iter().product());
        for row in 0..rows {
            for (part, width) in parts.iter().zip(&widths) {
                data.extend_from_slice(&part.data[row * width..][..*width]);
            }
        }
        Self::new(shape, data)
    }

    /// Undoes [`join`](Self::join) of `count` tensors of equal width.
    fn split(self, count: usize) -> Vec<Self> {
        if count == 1 {
            return vec![self];
        }
        let shape = part_shape(&self.shape, count);
        let width = shape[shape.len() - 1];
        let part = |index: usize| {
            let rows = self.data.chunks_exact(width * count);
            Self::new(shape.clone(), rows.flat_map(|row| row[index * width..][..width].iter().copied()).collect())
        };
        (0..count).map(part).collect()
    }

    /// A parameter's values as the tensors of a layout.
    pub(crate) fn into_parts(self, entry: &Entry) -> Vec<Self> {
        self.split(entry.theirs.len()).into_iter().map(|part| part.into_theirs(entry.form)).collect()
    }

    /// A layout's tensor of the given form in our arrangement.
    ///
    /// # Panics
    /// If the number of axes is not the form's; see [`our_shape`].
    pub(super) fn into_ours(self, form: Form) -> Self {
        let shape = our_shape(form, &self.shape).expect("shapes are checked before values are read");
        let values = match form {
            Form::Same => self,
            Form::Linear => self.permute([1, 0]),
            Form::PointwiseConvolution => {
                let (outputs, inputs) = (self.shape[0], self.shape[1]);
                self.reshape([outputs, inputs]).permute([1, 0])
            }
            Form::PatchConvolution { .. } => self.permute([2, 3, 1, 0]),
            Form::PositionMap => self.permute([0, 2, 3, 1]),
        };
        values.reshape(shape)
    }

    /// Undoes [`into_ours`](Self::into_ours).
    fn into_theirs(self, form: Form) -> Self {
        let shape = their_shape(form, &self.shape);
        let values = match form {
            Form::Same => self,
            Form::Linear | Form::PointwiseConvolution => self.permute([1, 0]),
            Form::PatchConvolution { .. } => {
                let [outputs, channels, rows, columns] = shape[..] else {
                    unreachable!("four axes, as of `their_shape`")
                };
                self.reshape([rows, columns, channels, outputs]).permute([3, 2, 0, 1])
            }
            Form::PositionMap => {
                let [_, d_model, rows, columns] = shape[..] else { unreachable!("four axes, as of `their_shape`") };
                self.reshape([1, rows, columns, d_model]).permute([0, 3, 1, 2])
            }
        };
        values.reshape(shape)
    }
}

/// The shape of one of `count` tensors of equal width that lie side by side along the last axis.
pub(super) fn part_shape(shape: &[usize], count: usize) -> Vec<usize> {
    let mut shape = shape.to_vec();
    *shape.last_mut().expect("a tensor has an axis") /= count;
    shape
}

/// The shape that a layout's tensor takes among our parameters; none if its axes are not the form's.
pub(super) fn our_shape(form: Form, theirs: &[usize]) -> Option<Vec<usize>> {
    match (form, theirs) {
        (Form::Same, _) => Some(theirs.to_vec()),
        (Form::Linear, &[outputs, inputs]) | (Form::PointwiseConvolution, &[outputs, inputs, 1, 1]) => {
            Some(vec![inputs, outputs])
        }
        (Form::PatchConvolution { patch_size }, &[outputs, channels, rows, columns]) => {
            (rows == patch_size && columns == patch_size).then(|| vec![rows * columns * channels, outputs])
        }
        (Form::PositionMap, &[1, d_model, rows, columns]) => Some(vec![1, rows * columns, d_model]),
        _ => None,
    }
}

/// The shape of one of our parameters in a layout. Position grids are square.
pub(super) fn their_shape(form: Form, ours: &[usize]) -> Vec<usize> {
    match (form, ours) {
        (Form::Linear, &[inputs, outputs]) => vec![outputs, inputs],
        (Form::PointwiseConvolution, &[inputs, outputs]) => vec![outputs, inputs, 1, 1],
        (Form::PatchConvolution { patch_size }, &[inputs, outputs]) => {
            vec![outputs, inputs / (patch_size * patch_size), patch_size, patch_size]
        }
        (Form::PositionMap, &[_, positions, d_model]) => vec![1, d_model, positions.isqrt(), positions.isqrt()],
        (Form::Same, _) => ours.to_vec(),
        _ => panic!("a parameter of {ours:?} has no form {form:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(shape: &[usize]) -> Values {
        Values::new(shape, (0..shape.iter().product::<usize>()).map(|v| v as f32).collect())
    }

    #[test]
    fn arrangements_are_those_of_the_layers() {
        let linear = counted(&[2, 3]).into_ours(Form::Linear);
        assert_eq!((linear.shape, linear.data), (vec![3, 2], vec![0., 3., 1., 4., 2., 5.]));
        // [output, channel, row, column] = [1, 2, 2, 2]: ours goes through row, column, channel.
        let patches = counted(&[1, 2, 2, 2]).into_ours(Form::PatchConvolution { patch_size: 2 });
        assert_eq!((patches.shape, patches.data), (vec![8, 1], vec![0., 4., 1., 5., 2., 6., 3., 7.]));
        let map = counted(&[1, 2, 2, 2]).into_ours(Form::PositionMap);
        assert_eq!((map.shape, map.data), (vec![1, 4, 2], vec![0., 4., 1., 5., 2., 6., 3., 7.]));
    }

    #[test]
    fn every_form_can_be_undone() {
        for (form, shape) in [
            (Form::Same, vec![2, 3]),
            (Form::Linear, vec![2, 3]),
            (Form::PointwiseConvolution, vec![2, 3, 1, 1]),
            (Form::PatchConvolution { patch_size: 2 }, vec![3, 5, 2, 2]),
            (Form::PositionMap, vec![1, 5, 3, 3]),
        ] {
            let theirs = counted(&shape);
            let ours = theirs.clone().into_ours(form);
            assert_eq!(their_shape(form, &ours.shape), shape);
            assert_eq!(ours.into_theirs(form), theirs, "{form:?}");
        }
    }

    #[test]
    fn axes_that_are_not_the_forms_are_refused() {
        assert_eq!(our_shape(Form::Linear, &[2, 3, 1]), None);
        assert_eq!(our_shape(Form::PointwiseConvolution, &[2, 3, 3, 3]), None);
        assert_eq!(our_shape(Form::PatchConvolution { patch_size: 2 }, &[8, 3, 4, 1]), None);
    }

    #[test]
    fn joins_and_splits_the_last_axis() {
        let parts = [Values::new([2, 1], vec![0., 1.]), Values::new([2, 1], vec![10., 11.])];
        let joined = Values::join(&parts);
        assert_eq!((&joined.shape, &joined.data), (&vec![2, 2], &vec![0., 10., 1., 11.]));
        assert_eq!(joined.split(2), parts);
    }
}
