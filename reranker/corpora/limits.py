"""How much of a supplied corpus is read. One home for every limit; sizes are in bytes.

They are wide enough for the corpora this app is meant for (hundreds of thousands of passages
on a small machine) and narrow enough that no upload can fill the memory.
"""

MIB = 2**20

MAX_FILE_BYTES = 512 * MIB
"""Of one file after decompression."""

MAX_LINE_BYTES = 4 * MIB
"""Of one line of any file."""

MAX_PASSAGES = 1_000_000
"""In one corpus."""

MAX_PASSAGE_CHARS = 1_000_000
"""In the text of one passage; stage 1 reads only its beginning anyway."""

MAX_ID_CHARS = 256

MAX_ARCHIVE_BYTES = 512 * MIB
"""Of a zip file as it lies on disk."""

MAX_ARCHIVE_UNPACKED_BYTES = 1024 * MIB
"""Of all entries of a zip together, by what the archive declares."""

MAX_ARCHIVE_ENTRIES = 1_000

MAX_ARCHIVE_DIRECTORY_BYTES = MIB
"""Of a zip's table of contents, which is read as a whole."""

MAX_ARCHIVE_RATIO = 200
"""Unpacked over packed size of one entry larger than 1 MiB; text seldom passes 20."""

MAX_PASTED_CHARS = 2_000_000
MAX_PASTED_PASSAGES = 1_000
