"""How do the files that other tools export become a log, with every row accounted for?

Nothing is guessed and nothing is dropped in silence: a time without a zone stops the import, and a
record that is no row goes to the quarantine with its file, number and reason.

Read `ingest` first, it names the stations; then the files in the order in which they work:

=============  ===================================================================================
`ingest`       `import_files`: read, count, write, publish
`files`        which files are meant, and are they what their names say?
`readers`      CSV, Parquet and JSON lines as batches; records that cannot be read
`mapping`      which column is what: `ColumnMapping`, its TOML form, the presets in ``presets/``
`rows`         records as canonical rows, and the reason for each that is none
`cells`        cells as text and numbers, without losing a digit
`times`        times as instants, never by assumption
`privacy`      keyed hashes in the place of ids, no e-mail addresses
`merging`      one set of columns; each event once (order ids, overlapping exports)
`append`       the log that an import adds to: its settings, and its shards as rows again
=============  ===================================================================================
"""
