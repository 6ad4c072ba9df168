"""What a lake in a bucket holds, read by PyArrow as any of its users reads it: `lake.py BUCKET`.

The way there is in the environment, as each cloud's emulator has it. Printed are the identities of all changes, the table that they make,
and how many objects a reader does not see. Nothing of Tidemark's is used here.
"""

import json
import os
import sys

import pyarrow
from pyarrow import dataset, fs


def main():
    bucket = sys.argv[1]
    store = reached()
    objects = [
        info.path
        for info in store.get_file_info(fs.FileSelector(bucket, recursive=True))
        if info.type == fs.FileType.File
    ]
    hidden = sum("/.tidemark/" in path and "/tmp/" in path for path in objects)
    shown = [path for path in objects if "/.tidemark/" not in path]
    changes = []
    if shown:
        hive = dataset.partitioning(pyarrow.schema([("part", pyarrow.string())]), flavor="hive")
        root = f"{bucket}/shop/public.events"
        lake = dataset.dataset(root, filesystem=store, format="parquet", partitioning=hive)
        # What a killed process had sent may take effect between the two listings.
        assert set(lake.files) >= set(shown), "a reader finds all of them"
        assert not any("/.tidemark/" in path for path in lake.files), "and nothing else"
        changes = lake.to_table().to_pylist()
    rows = {}
    # What was read at first comes before what has changed since.
    for change in sorted(changes, key=lambda it: (it["_tidemark_op"] != "r", it["_tidemark_position"])):
        assert change["part"] == (change["kind"] or None), "a change is in the folder of its value"
        if change["_tidemark_op"] == "d":
            del rows[change["id"]]
        else:
            rows[change["id"]] = [change["kind"], str(change["amount"])]
    print(
        json.dumps(
            {
                "positions": [change["_tidemark_position"] for change in changes],
                "rows": [[id, *row] for id, row in sorted(rows.items())],
                "hidden": hidden,
            }
        )
    )


def reached():
    """The store that the environment leads to."""
    if endpoint := os.environ.get("AWS_ENDPOINT_URL"):
        return fs.S3FileSystem(
            access_key=os.environ["AWS_ACCESS_KEY_ID"],
            secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
            region=os.environ["AWS_REGION"],
            endpoint_override=endpoint,
        )
    if endpoint := os.environ.get("STORAGE_EMULATOR_HOST"):
        return fs.GcsFileSystem(anonymous=True, scheme="http", endpoint_override=endpoint.split("//")[1])
    parts = dict(part.split("=", 1) for part in os.environ["AZURE_STORAGE_CONNECTION_STRING"].split(";") if part)
    authority = parts["BlobEndpoint"].split("/")[2]
    return fs.AzureFileSystem(
        account_name=parts["AccountName"],
        account_key=parts["AccountKey"],
        blob_storage_authority=authority,
        blob_storage_scheme="http",
        dfs_storage_authority=authority,
        dfs_storage_scheme="http",
    )


main()
