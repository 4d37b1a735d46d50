"""What the YANG modules say, for everyone else. Files are read once, by `Schema.load`."""

from rui.schema.acceptor import UsualForm
from rui.schema.errors import DataError, Issue, ModuleProblem, SchemaError, Tag, UnknownNodeError
from rui.schema.files import installed_directories, yang_directory
from rui.schema.library import Conformance, ModuleInfo, SubmoduleInfo
from rui.schema.libyang import Defaults
from rui.schema.records import RecordChecker, RecordIssue
from rui.schema.runs import Runs
from rui.schema.schema import Document, Schema
from rui.schema.sets import FEATURES, manager_schema, router_schema
from rui.schema.tree import OPERATIONS, Kind, Membership, Node, Tree, TypeSpec

__all__ = [
    "FEATURES",
    "OPERATIONS",
    "Conformance",
    "DataError",
    "Defaults",
    "Document",
    "Issue",
    "Kind",
    "Membership",
    "ModuleInfo",
    "ModuleProblem",
    "Node",
    "RecordChecker",
    "RecordIssue",
    "Runs",
    "Schema",
    "SchemaError",
    "SubmoduleInfo",
    "Tag",
    "Tree",
    "TypeSpec",
    "UnknownNodeError",
    "UsualForm",
    "installed_directories",
    "manager_schema",
    "router_schema",
    "yang_directory",
]
