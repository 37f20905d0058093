"""Records into tables: each record fits the columns, or is refused before its neighbours are touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from streamflow.codecs.arrow import arrow
from streamflow.codecs.table_types import joined_fields, refuse_change

#: Records from which the columns are known, where nobody has named them; or bytes of records.
SAMPLE = 1000
SAMPLE_BYTES = 16 << 20
#: Records that were taken one by one and are made a batch of; or bytes of records.
LOOSE = 1000
LOOSE_BYTES = 4 << 20


class TableRecords:
    """Gather dicts, and make RecordBatches of them; it neither reads nor waits.

    Columns are those of `schema`, or of the first 1,000 records together: a column that one of them lacks is null
    there, a column with None alone takes nothing else, and whole numbers among fractions are fractions. From then on a
    record may lack columns, but bring no new ones and no values of other types.
    """

    def __init__(self, schema: Any = None) -> None:
        #: The columns as far as they are known.
        self.schema: Any = arrow().schema([]) if schema is None else schema
        #: Whether they stay as they are.
        self.settled = schema is not None
        #: How many records of the latest `take` were taken, when it has raised.
        self.taken = 0
        self._loose: list[Any] = []
        self._loose_bytes = 0
        self._batches: list[Any] = []

    def take(self, records: Sequence[Any]) -> None:
        """Take records in order, up to the first that does not fit: raise TypeError or ValueError for that."""
        self.taken = 0
        while self.taken < len(records) and (not self.settled or len(records) == 1):
            self._take_one(records[self.taken])
            self.taken += 1
        if self.taken < len(records):
            self._take_many(records[self.taken :])

    @property
    def due(self) -> bool:
        """Tell whether `batches` has something to do."""
        return self.settled and (len(self._loose) >= LOOSE or self._loose_bytes >= LOOSE_BYTES)

    def batches(self) -> list[Any]:
        """Hand over what is whole: nothing while the columns are not settled."""
        if self.due:
            self._bind()
        found, self._batches = self._batches, []
        return found

    def rest(self) -> list[Any]:
        """Hand over everything; the columns are settled now."""
        self.settled = True
        self._bind()
        return self.batches()

    def _take_one(self, record: Any) -> None:
        schema = self.schema if self.settled else self._widened(record)
        batch = converted([record], schema)
        if not self.settled and schema is not self.schema and not _extends(schema, self.schema):
            converted(self._loose, schema)  # what was taken must stay as it is, or this record is the one that fails
        self.schema = schema
        self._loose.append(record)
        self._loose_bytes += batch.nbytes
        if not self.settled:
            self.settled = len(self._loose) >= SAMPLE or self._loose_bytes >= SAMPLE_BYTES

    def _widened(self, record: Any) -> Any:
        """Return the columns with those of `record`: the same object, if it brings nothing new."""
        require_record(record)
        pa = arrow()
        fields = [pa.field(name, _inferred(name, value)) for name, value in record.items()]
        schema = pa.schema(joined_fields("", list(self.schema), fields))
        if not schema.names:
            raise ValueError("a record without fields, before any column is known: name them with schema=")
        return self.schema if schema.equals(self.schema) else schema

    def _take_many(self, records: Sequence[Any]) -> None:
        self._bind()
        low, high, found = 0, len(records), None
        try:
            found = converted(records, self.schema)
            low = high
        except Exception as error:
            failure = error
        while high - low > 1:  # records[:low] fit, records[:high] do not
            middle = (low + high) // 2
            try:
                converted(records[low:middle], self.schema)
                low = middle
            except Exception as error:
                high, failure = middle, error
        if low:
            self._batches.append(converted(records[:low], self.schema) if found is None else found)
            self.taken += low
        if found is None:
            raise failure

    def _bind(self) -> None:
        """Make a batch of the records that were taken one by one."""
        if self._loose:
            loose, self._loose, self._loose_bytes = self._loose, [], 0
            self._batches.append(converted(loose, self.schema))


def converted(records: Sequence[Any], schema: Any) -> Any:
    """Return the RecordBatch of `records`; raise TypeError or ValueError, naming the column, if one does not fit."""
    pa = arrow()
    known = set(schema.names)
    for record in records:
        require_record(record)
        if not record.keys() <= known:
            unknown = [name for name in record if name not in known]
            raise ValueError(
                f"columns that the file has not: {unknown}; it has {schema.names}. Leave them out in a .map(...), "
                f"or name all with schema="
            )
    columns = [_column(pa, field, [record.get(field.name) for record in records]) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def require_record(record: Any) -> None:
    """Raise TypeError for what is no dict of named columns."""
    if not isinstance(record, Mapping):
        raise TypeError(
            f"a file of tables takes dicts or RecordBatches, not {type(record).__qualname__}: "
            f"make a dict of it in a .map(...)"
        )
    if not all(isinstance(name, str) for name in record):
        raise TypeError(f"columns have names of text, not {next(n for n in record if not isinstance(n, str))!r}")


def _column(pa: Any, field: Any, values: list[Any]) -> Any:
    refuse_change(field.name, field, values)
    try:
        column = pa.array(values, type=field.type)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"column {field.name!r}, {field.type}: {' '.join(str(error).split())}") from None
    if isinstance(column, pa.ChunkedArray):
        raise ValueError(f"column {field.name!r}, {field.type}: more than 2 GiB at once")
    return column


def _inferred(name: str, value: Any) -> Any:
    pa = arrow()
    try:
        return pa.infer_type([value])
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise TypeError(f"column {name!r}: {' '.join(str(error).split())}") from None


def _extends(schema: Any, before: Any) -> bool:
    """Tell whether `schema` has the columns of `before`, unchanged, and perhaps more."""
    return all(schema.field(field.name).equals(field) for field in before)
