"""The benchmark's programs need libraries of their own; only its arithmetic is tested."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
collect_ignore_glob = ["[!t]*.py"]
