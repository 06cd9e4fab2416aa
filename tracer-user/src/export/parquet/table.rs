//! A table: columns that are filled row by row and written group by group.

use std::{io, io::Write, sync::Arc};

use parquet::{
    basic::{Compression, Encoding},
    data_type::{BoolType, ByteArray, ByteArrayType, Int32Type, Int64Type},
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::WriterProperties,
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    schema::{parser::parse_message_type, types::ColumnPath},
};
use rustc_hash::FxHashMap;

use crate::export::{ExportError, Type, Value};

/// Rows that are held until they are written.
const GROUP: usize = 1 << 16;

/// Texts that are kept to be used again.
const TEXTS: usize = 1 << 14;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// A time or a length of time in nanoseconds: signed, so that one can be taken from another.
    Time,
    /// One of the types of fields.
    Plain(Type),
    /// A list of CPUs.
    Cpus,
}

/// A column as it is declared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Declared {
    pub(super) name: &'static str,
    pub(super) holds: Holds,
    /// Every row has it.
    pub(super) always: bool,
}

enum Values {
    Int64(Vec<i64>),
    Bool(Vec<bool>),
    Text(Vec<ByteArray>),
    /// With the repetition levels.
    Cpus(Vec<i32>, Vec<i16>),
}

struct Column {
    declared: Declared,
    values: Values,
    /// Whether each row has a value; rows at the end that have none may be missing here.
    levels: Vec<i16>,
}

/// One file.
pub(super) struct Table<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    columns: Vec<Column>,
    texts: FxHashMap<Box<str>, ByteArray>,
    rows: usize,
    written: u64,
}

/// What the library reports, with the system's own word where there is one.
fn failed(error: ParquetError) -> ExportError {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => ExportError::Io(*error),
            Err(other) => ExportError::Parquet(other.to_string()),
        },
        other => ExportError::Parquet(other.to_string()),
    }
}

impl Declared {
    /// As Parquet's message types are written.
    fn message(&self) -> String {
        let Self { name, holds, always } = self;
        let how = if *always { "REQUIRED" } else { "OPTIONAL" };
        match holds {
            Holds::Time | Holds::Plain(Type::Int) => format!("{how} INT64 {name};"),
            Holds::Plain(Type::Uint) => format!("{how} INT64 {name} (INTEGER(64,false));"),
            Holds::Plain(Type::Bool) => format!("{how} BOOLEAN {name};"),
            Holds::Plain(Type::Text) => format!("{how} BINARY {name} (STRING);"),
            Holds::Cpus => format!(
                "REQUIRED GROUP {name} (LIST) {{ REPEATED GROUP list {{ REQUIRED INT32 element; }} }}"
            ),
        }
    }
}

impl<W: Write + Send> Table<W> {
    /// Begins a file; `about` is written beside the rows.
    pub(super) fn new(
        to: W,
        name: &str,
        columns: Vec<Declared>,
        about: &[(&str, String)],
    ) -> Result<Self, ExportError> {
        let fields: Vec<_> = columns.iter().map(Declared::message).collect();
        let message = format!("message {name} {{ {} }}", fields.join(" "));
        let schema = Arc::new(parse_message_type(&message).map_err(failed)?);
        let about =
            about.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone()));
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("unlazy ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata(Some(about.collect()));
        for column in columns.iter().filter(|column| column.holds == Holds::Time) {
            // Times grow: what differs from one to the next is small.
            properties = properties
                .set_column_dictionary_enabled(ColumnPath::from(column.name), false)
                .set_column_encoding(ColumnPath::from(column.name), Encoding::DELTA_BINARY_PACKED);
        }
        let writer =
            SerializedFileWriter::new(to, schema, Arc::new(properties.build())).map_err(failed)?;
        let column = |declared: Declared| Column {
            declared,
            values: match declared.holds {
                Holds::Time | Holds::Plain(Type::Int | Type::Uint) => Values::Int64(Vec::new()),
                Holds::Plain(Type::Bool) => Values::Bool(Vec::new()),
                Holds::Plain(Type::Text) => Values::Text(Vec::new()),
                Holds::Cpus => Values::Cpus(Vec::new(), Vec::new()),
            },
            levels: Vec::new(),
        };
        let columns = columns.into_iter().map(column).collect();
        Ok(Self { writer, columns, texts: FxHashMap::default(), rows: 0, written: 0 })
    }

    /// Puts a value into the row that is being filled. What does not fit the column is left out.
    pub(super) fn put(&mut self, column: usize, value: Value<'_>) {
        let Self { columns, texts, rows, .. } = self;
        let Some(Column { values, levels, .. }) = columns.get_mut(column) else { return };
        match (values, value) {
            (Values::Int64(values), Value::Int(n)) => values.push(n),
            // Declared as unsigned where it can be so large.
            (Values::Int64(values), Value::Uint(n)) => values.push(n.cast_signed()),
            (Values::Bool(values), Value::Bool(b)) => values.push(b),
            (Values::Text(values), Value::Text(text)) => {
                if let Some(bytes) = texts.get(text) {
                    values.push(bytes.clone());
                } else {
                    if texts.len() == TEXTS {
                        texts.clear();
                    }
                    let bytes = ByteArray::from(text);
                    texts.insert(text.into(), bytes.clone());
                    values.push(bytes);
                }
            }
            _ => return,
        }
        levels.resize(*rows, 0);
        levels.push(1);
    }

    /// Puts a value where there is one.
    pub(super) fn put_some(&mut self, column: usize, value: Option<Value<'_>>) {
        if let Some(value) = value {
            self.put(column, value);
        }
    }

    /// Puts a list of CPUs.
    pub(super) fn put_cpus(&mut self, column: usize, cpus: &[u32]) {
        let Some(Column { values: Values::Cpus(values, again), levels, .. }) =
            self.columns.get_mut(column)
        else {
            return;
        };
        if cpus.is_empty() {
            levels.push(0);
            again.push(0);
        }
        for (index, &cpu) in cpus.iter().enumerate() {
            values.push(cpu.cast_signed());
            levels.push(1);
            again.push((index > 0).into());
        }
    }

    /// The row is full.
    pub(super) fn end_row(&mut self) -> Result<(), ExportError> {
        self.rows += 1;
        self.written += 1;
        if self.rows == GROUP { self.write_group() } else { Ok(()) }
    }

    /// Rows so far.
    pub(super) const fn rows(&self) -> u64 {
        self.written
    }

    fn write_group(&mut self) -> Result<(), ExportError> {
        let rows = std::mem::take(&mut self.rows);
        if rows == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group().map_err(failed)?;
        for column in &mut self.columns {
            let mut to = group.next_column().map_err(failed)?.ok_or_else(|| {
                ExportError::Parquet(format!("there is no column {}", column.declared.name))
            })?;
            column.write(rows, &mut to).map_err(failed)?;
            to.close().map_err(failed)?;
        }
        group.close().map_err(failed)?;
        Ok(())
    }

    /// Writes a word beside the rows.
    pub(super) fn note(&mut self, key: &str, value: String) {
        self.writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }

    /// Writes what is left, and the file's end.
    pub(super) fn finish(mut self) -> Result<(), ExportError> {
        self.write_group()?;
        let mut to = self.writer.into_inner().map_err(failed)?;
        Ok(to.flush()?)
    }
}

impl Column {
    fn write(
        &mut self,
        rows: usize,
        to: &mut SerializedColumnWriter<'_>,
    ) -> Result<(), ParquetError> {
        let Self { declared, values, levels } = self;
        if !matches!(values, Values::Cpus(..)) {
            levels.resize(rows, 0);
        }
        let which = (!declared.always || declared.holds == Holds::Cpus).then_some(&levels[..]);
        match values {
            Values::Int64(values) => {
                to.typed::<Int64Type>().write_batch(values, which, None)?;
                values.clear();
            }
            Values::Bool(values) => {
                to.typed::<BoolType>().write_batch(values, which, None)?;
                values.clear();
            }
            Values::Text(values) => {
                to.typed::<ByteArrayType>().write_batch(values, which, None)?;
                values.clear();
            }
            Values::Cpus(values, again) => {
                to.typed::<Int32Type>().write_batch(values, which, Some(again))?;
                values.clear();
                again.clear();
            }
        }
        levels.clear();
        Ok(())
    }
}
