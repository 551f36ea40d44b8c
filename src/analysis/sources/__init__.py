"""Reading what other tools export: files in, canonical rows out.

`files` says which files are meant and refuses those that are not what their name says; `tables`
and `json_lines` turn them into batches of bounded size with the number of every record;
`mapping` says which column is what; `instants` reads times without ever assuming a zone or a
unit; `rows` joins these into the rows of a log and says of every other row why it is none.
Mappings for well-known exports are TOML files in `presets`.
"""

from __future__ import annotations
