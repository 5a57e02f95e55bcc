# xsimd 8.1, as Debian 12 has it, exports plain `xsimd`, and that target links `-lxtl`, which is not installed with it
# and which we do not use. So the modern name is made of its headers alone.
if(NOT TARGET xsimd::xsimd)
  get_target_property(incontext_xsimd_headers xsimd INTERFACE_INCLUDE_DIRECTORIES)
  add_library(xsimd::xsimd INTERFACE IMPORTED GLOBAL)
  target_include_directories(xsimd::xsimd SYSTEM INTERFACE ${incontext_xsimd_headers})
  unset(incontext_xsimd_headers)
endif()
