"""WAD files, of one made here."""

import struct

from tween.data import wad


def made(path, maps):
    """A WAD file of maps: name -> things (x, y, angle, type, flags)."""
    body, table = b"", []
    for name, things in maps.items():
        data = b"".join(struct.pack("<5h", *thing) for thing in things)
        table += [
            (name, 12 + len(body), 0),
            ("THINGS", 12 + len(body), len(data)),
            ("LINEDEFS", 12 + len(body), 0),
        ]
        body += data
    table.append(("PLAYPAL", 12 + len(body), 0))
    entries = b"".join(struct.pack("<ii8s", at, size, name.encode()) for name, at, size in table)
    path.write_bytes(struct.pack("<4sii", b"IWAD", len(table), 12 + len(body)) + body + entries)
    return path


def test_maps_and_where_players_start(tmp_path):
    things = {
        "MAP01": [(-192, 40, 90, 1, 7), (5, 6, 0, 3004, 7), (300, -500, 0, 11, 7)],
        "MAP02": [(1, 2, 0, 2035, 7), (7, 8, 0, 4, 7)],
    }
    path = made(tmp_path / "a.wad", things)
    assert wad.maps(path) == ("MAP01", "MAP02")
    assert wad.starts(path, "MAP01").tolist() == [[-192, 40], [300, -500]]
    assert wad.starts(path, "MAP02").tolist() == [[7, 8]]
