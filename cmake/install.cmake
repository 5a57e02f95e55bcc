# Headers, the CMake package `incontext` and a pkg-config file. All of it can be moved after installation.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# Nothing here depends on the processor, so it goes where independent data goes.
set(package_directory ${CMAKE_INSTALL_DATADIR}/cmake/incontext)
set(pkgconfig_directory ${CMAKE_INSTALL_DATADIR}/pkgconfig)

install(DIRECTORY include/incontext DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
install(TARGETS incontext EXPORT incontext-targets)
install(EXPORT incontext-targets NAMESPACE incontext:: DESTINATION ${package_directory})

configure_package_config_file(cmake/incontext-config.cmake.in incontext-config.cmake
                              INSTALL_DESTINATION ${package_directory})
write_basic_package_version_file(incontext-config-version.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/incontext-config.cmake ${PROJECT_BINARY_DIR}/incontext-config-version.cmake
              cmake/xsimd-target.cmake DESTINATION ${package_directory})

file(RELATIVE_PATH relative_prefix /prefix/${pkgconfig_directory} /prefix)
configure_file(cmake/incontext.pc.in incontext.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/incontext.pc DESTINATION ${pkgconfig_directory})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
