#!/usr/bin/env python3
"""Writes the small safetensors files of tests/fuzz/corpus.

A name that begins with accept is a valid file, one that begins with refuse is not: the tests hold the reader to that.
"""

import struct
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"


def file(header, data=b"", length=None):
    """The bytes of a file; `length` lies about the length of its header."""
    header = header if isinstance(header, bytes) else header.encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def tensor(name="a", dtype="F32", shape="[1]", begin=0, end=4):
    return f'"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}'


def one(data=bytes(4), **fields):
    return file("{" + tensor(**fields) + "}", data)


def two(first, second, data):
    return file("{" + tensor("a", **first) + "," + tensor("b", **second) + "}", data)


FILES = {
    "accept_empty_object": file("{}"),
    "accept_padding": file("{}" + " " * 54),
    "accept_metadata_only": file('{"__metadata__":{"format":"pt","step":"400"}}'),
    "accept_scalar": one(shape="[]"),
    "accept_matrix": one(struct.pack("<6f", *range(6)), shape="[2,3]", end=24),
    "accept_no_elements": one(b"", shape="[0,7]", end=0),
    "accept_no_elements_between": two({}, {"shape": "[0]", "begin": 4, "end": 4}, bytes(4)),
    "accept_names_against_data_order": two({"begin": 4, "end": 8}, {}, struct.pack("<2f", 1, 2)),
    "accept_mixed_types": two({"dtype": "U8", "end": 1}, {"dtype": "F64", "begin": 1, "end": 9}, bytes(9)),
    "accept_not_a_number": one(bytes.fromhex("0100c07f")),
    "accept_escaped_name": one(name='\\u00e9\\"\\\\\\u0000\\n'),
    "accept_utf8_name": one(name="é"),
    "accept_fields_in_another_order": file('{"a":{"data_offsets":[0,2],"shape":[1],"dtype":"BF16"}}', bytes(2)),
    "refuse_empty_file": b"",
    "refuse_half_a_length": b"\x02\x00\x00\x00",
    "refuse_length_only": file(""),
    "refuse_length_beyond_file": file("{}", length=3),
    "refuse_length_of_all_ones": file("{}", length=2**64 - 1),
    "refuse_length_just_above_limit": file("{}", length=100_000_001),
    "refuse_byte_order_mark": file(b"\xef\xbb\xbf{}"),
    "refuse_leading_space": file(" {}"),
    "refuse_list": file("[]"),
    "refuse_deep_lists": file('{"a":' + "[" * 500 + "]" * 500 + "}"),
    "refuse_deep_objects": file('{"a":' * 150 + "0" + "}" * 150),
    "refuse_unfinished_json": file('{"a":{"dtype":"F32"'),
    "refuse_two_objects": file("{}{}"),
    "refuse_zero_byte_after_object": file(b"{}\x00junk"),
    "refuse_comment": file("{}/* comment */"),
    "refuse_ill_formed_utf8": file(b'{"\xff":{}}'),
    "refuse_lone_surrogate": one(name="\\ud800"),
    "refuse_same_name_twice": two({}, {}, bytes(4)).replace(b'"b"', b'"a"'),
    "refuse_same_field_twice": file('{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
    "refuse_metadata_twice": file('{"__metadata__":{},"__metadata__":{}}'),
    "refuse_metadata_number": file('{"__metadata__":{"step":400}}'),
    "refuse_unknown_dtype": one(dtype="F31"),
    "refuse_unknown_field": file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"stride":[1]}}', bytes(4)),
    "refuse_missing_shape": file('{"a":{"dtype":"F32","data_offsets":[0,4]}}', bytes(4)),
    "refuse_negative_extent": one(shape="[-1]"),
    "refuse_fractional_extent": one(shape="[1.0]"),
    "refuse_overflowing_shape": one(shape="[4294967296,4294967296,4294967296]"),
    "refuse_extent_beyond_index": one(shape="[9223372036854775808]"),
    "refuse_nested_shape": one(shape="[[1]]"),
    "refuse_wrong_length": one(shape="[2]"),
    "refuse_reversed_offsets": one(begin=4, end=0),
    "refuse_offsets_beyond_data": one(bytes(3)),
    "refuse_offsets_of_three": file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}', bytes(4)),
    "refuse_overlap": two({}, {"begin": 2, "end": 6}, bytes(6)),
    "refuse_hole": two({}, {"begin": 8, "end": 12}, bytes(12)),
    "refuse_hole_in_front": one(bytes(8), begin=4, end=8),
    "refuse_trailing_bytes": one(bytes(5)),
}

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, content in FILES.items():
        (FOLDER / f"{name}.safetensors").write_bytes(content)
