"""Stub."""
import os, pickle
from typing import Any
from streamflow.model.interfaces import CheckpointStore
class CheckpointFile(CheckpointStore):
    def __init__(self, path: str, keep: int = 3) -> None:
        self.path = path
    @property
    def label(self) -> str:
        return self.path
    def open(self) -> None: ...
    def latest(self) -> Any:
        return pickle.load(open(self.path,'rb')) if os.path.exists(self.path) else None
    def save(self, checkpoint: Any) -> None:
        with open(self.path+'.n','wb') as f: pickle.dump(checkpoint,f)
        os.replace(self.path+'.n', self.path)
    def clear(self) -> None:
        if os.path.exists(self.path): os.remove(self.path)
    def close(self) -> None: ...
