"""Guard pages around every array: a kernel that reads or writes outside of one ends the process.

NumPy allocates each array by itself, up against a page that nobody may touch: behind its end, or
before its start. Arrays that kernels make for themselves are not guarded, nor are those of other
threads than the one that calls `enable`.
"""

import ctypes
import mmap

import llvmlite.binding as llvm
import numpy as np

from lightrnn.cpu import host

_SET_HANDLER = 304  # index of PyDataMem_SetHandler among NumPy's functions
_NAME = b"mem_handler"

# An allocator in machine code: Python must not run where NumPy frees an array, for an exception may
# be on its way. A block is a page that holds its number of bytes, a guard page, the array's pages,
# and another guard page. The array starts within the first of its pages, as NumPy aligns it.
_CODE = """
declare i8* @mmap(i8*, i64, i32, i32, i32, i64)
declare i32 @mprotect(i8*, i64, i32)
declare i32 @munmap(i8*, i64)
declare i8* @memcpy(i8*, i8*, i64)

define i8* @base(i8* %array) {{
  %address = ptrtoint i8* %array to i64
  %page = and i64 %address, -{page}
  %start = sub i64 %page, {two}
  %base = inttoptr i64 %start to i8*
  ret i8* %base
}}

define i8* @allocate(i8* %context, i64 %size) {{
  %empty = icmp eq i64 %size, 0
  %bytes = select i1 %empty, i64 1, i64 %size
  %more = add i64 %bytes, {rest}
  %inside = and i64 %more, -{page}
  %length = add i64 %inside, {three}
  %base = call i8* @mmap(i8* null, i64 %length, i32 {rights}, i32 {kind}, i32 -1, i64 0)
  %number = ptrtoint i8* %base to i64
  %failed = icmp eq i64 %number, -1
  br i1 %failed, label %none, label %some
none:
  ret i8* null
some:
  %note = bitcast i8* %base to [2 x i64]*
  %first = getelementptr [2 x i64], [2 x i64]* %note, i64 0, i64 0
  %second = getelementptr [2 x i64], [2 x i64]* %note, i64 0, i64 1
  store i64 %length, i64* %first
  store i64 %size, i64* %second
  %before = getelementptr i8, i8* %base, i64 {page}
  %1 = call i32 @mprotect(i8* %before, i64 {page}, i32 0)
  %end = sub i64 %length, {page}
  %after = getelementptr i8, i8* %base, i64 %end
  %2 = call i32 @mprotect(i8* %after, i64 {page}, i32 0)
  %room = sub i64 %inside, %bytes
  %shift = and i64 %room, {mask}
  %offset = add i64 %shift, {two}
  %array = getelementptr i8, i8* %base, i64 %offset
  ret i8* %array
}}

define i8* @zeros(i8* %context, i64 %count, i64 %size) {{
  %bytes = mul i64 %count, %size
  %array = call i8* @allocate(i8* %context, i64 %bytes)
  ret i8* %array
}}

define void @release(i8* %context, i8* %array, i64 %size) {{
  %nothing = icmp eq i8* %array, null
  br i1 %nothing, label %done, label %some
some:
  %base = call i8* @base(i8* %array)
  %note = bitcast i8* %base to i64*
  %length = load i64, i64* %note
  %1 = call i32 @munmap(i8* %base, i64 %length)
  br label %done
done:
  ret void
}}

define i8* @resize(i8* %context, i8* %array, i64 %size) {{
  %new = call i8* @allocate(i8* %context, i64 %size)
  %nothing = icmp eq i8* %array, null
  %failed = icmp eq i8* %new, null
  %neither = or i1 %nothing, %failed
  br i1 %neither, label %done, label %copy
copy:
  %base = call i8* @base(i8* %array)
  %note = bitcast i8* %base to [2 x i64]*
  %second = getelementptr [2 x i64], [2 x i64]* %note, i64 0, i64 1
  %old = load i64, i64* %second
  %shrinks = icmp ult i64 %size, %old
  %bytes = select i1 %shrinks, i64 %size, i64 %old
  %1 = call i8* @memcpy(i8* %new, i8* %array, i64 %bytes)
  call void @release(i8* %context, i8* %array, i64 0)
  br label %done
done:
  ret i8* %new
}}
"""


class _Handler(ctypes.Structure):
    """NumPy's PyDataMem_Handler."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", ctypes.c_void_p),
        ("malloc", ctypes.c_void_p),
        ("calloc", ctypes.c_void_p),
        ("realloc", ctypes.c_void_p),
        ("free", ctypes.c_void_p),
    )


def enable(at_end: bool = True) -> None:
    """Guard all arrays that this thread allocates from now on.

    Parameters
    ----------
    at_end : bool, default=True
        Whether an array ends where a guard page begins, up to 15 bytes if its size is no multiple
        of 16; otherwise it begins where one ends.
    """
    page = mmap.PAGESIZE
    code = _CODE.format(
        page=page,
        two=2 * page,
        three=3 * page,
        rest=page - 1,
        rights=mmap.PROT_READ | mmap.PROT_WRITE,
        kind=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
        mask=-16 if at_end else 0,
    )
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    engine = llvm.create_mcjit_compiler(
        llvm.parse_assembly(code), llvm.Target.from_default_triple().create_target_machine()
    )
    engine.finalize_object()
    functions = map(engine.get_function_address, ("allocate", "zeros", "resize", "release"))
    handler = _Handler(b"guard", 1, None, *functions)
    for needed in (engine, handler):  # for ever: the last arrays are freed after all modules
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(needed))
    _set(handler)
    # Arrays of kernels have no room for alignment then: they start or end at a page anyway.
    host.allocate = lambda size: np.zeros(size, np.uint8)


def _set(handler: _Handler) -> None:
    """Give NumPy another allocator."""
    new = ctypes.pythonapi.PyCapsule_New
    new.restype = ctypes.py_object
    new.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    capsule = new(ctypes.addressof(handler), _NAME, None)
    content = ctypes.pythonapi.PyCapsule_GetPointer
    content.restype = ctypes.c_void_p
    content.argtypes = (ctypes.py_object, ctypes.c_char_p)
    functions = content(np._core._multiarray_umath._ARRAY_API, None)
    address = ctypes.cast(functions, ctypes.POINTER(ctypes.c_void_p))[_SET_HANDLER]
    ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(address)(capsule)
