SELECT id, soundex(name), crc32(to_utf8(name)), from_base('ff', id + 15), bit_count(id, 64), human_readable_seconds(id * 3601) FROM people;
